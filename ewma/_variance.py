"""`var` and `std`: how far the samples spread around the mean that forgets."""

from __future__ import annotations

from typing import Any, TypeVar, cast

import numpy.typing as npt

from ewma._answer import DEVIATION, VARIANCE, Options, Weighting, answer
from ewma._decay import Decay, Halflife

T = TypeVar("T")


def var(
    series: T,
    beta: Decay = None,
    *,
    alpha: Decay = None,
    com: Decay = None,
    span: Decay = None,
    halflife: Halflife = None,
    times: Any = None,
    weighting: Weighting = "sample",
    by: Any = None,
    axis: int | str = 0,
    bias: bool = False,
    ignore_na: bool = True,
    fill: bool = False,
    out: npt.NDArray[Any] | None = None,
    threads: int | None = None,
) -> T:
    r"""Return the exponentially weighted variance around the smoothed series.

    With :math:`y_t` and :math:`w_t` the mean and the weight of `smooth`,

    .. math::

        s_t = \beta s_{t-1} + (1 - 1 / w_t) (x_t - y_{t-1})^2, \qquad
        v_t = \frac{s_t}{w_t} \cdot \frac{w_t^2}{w_t^2 - q_t}, \qquad q_t = \beta^2 q_{t-1} + 1

    so that :math:`v_t` is the mean of the squared distances from :math:`y_t`, each weighted by
    beta to the power of its age, times a factor that makes it right on average for samples that
    are independent; with ``bias=True`` without that factor. With times and more than 512 halflives
    since the sample before, nothing may be left of the past: the variance is then that of one
    sample, which without bias is NaN; from 866 halflives on it always is. The result has the
    samples' dtype: a variance above 65504 is infinite in float16, where the deviation is not.

    Parameters
    ----------
    series, beta, alpha, com, span, halflife, times, weighting, by, axis, ignore_na, threads
        As for `smooth`; samples are real numbers, and beta is not "auto".
    bias : bool, default False
        Whether to leave out the factor. The variance of one sample is then 0, and else missing.
    fill : bool, default False
        Whether a missing sample comes out as the variance so far (pandas), and not as NaN.
    out : ndarray, optional
        As for `smooth`.

    Returns
    -------
    list, tuple, ndarray, Series or DataFrame
        As of `smooth`, in the samples' unit squared.

    Raises
    ------
    ValueError, TypeError
        As of `smooth`; also for complex samples.

    See Also
    --------
    std : Its square root, in the samples' unit.

    References
    ----------
    D. H. D. West, "Updating mean and variance estimates: an improved method", 1979, for the
    recurrence; the factor is that of reliability weights, as in pandas' ``ewm(...).var()``.

    Examples
    --------
    >>> var([4.0, 1.0, 3.0], beta=0.5, bias=True)
    [0.0, 2.0, 1.1020408163265307]
    >>> var([4.0, 1.0, 3.0], beta=0.5)
    [nan, 4.5, 1.9285714285714286]
    """
    options = Options(VARIANCE, bool(bias), True, bool(ignore_na), bool(fill), weighting)
    decays = {"beta": beta, "alpha": alpha, "com": com, "span": span, "halflife": halflife}
    return cast(
        "T",
        answer(
            series, options, decays=decays, axis=axis, times=times, by=by, out=out, threads=threads
        ),
    )


def std(
    series: T,
    beta: Decay = None,
    *,
    alpha: Decay = None,
    com: Decay = None,
    span: Decay = None,
    halflife: Halflife = None,
    times: Any = None,
    weighting: Weighting = "sample",
    by: Any = None,
    axis: int | str = 0,
    bias: bool = False,
    ignore_na: bool = True,
    fill: bool = False,
    out: npt.NDArray[Any] | None = None,
    threads: int | None = None,
) -> T:
    r"""Return the exponentially weighted standard deviation around the smoothed series.

    .. math:: \sqrt{v_t}

    with :math:`v_t` the variance of `var`.

    Parameters
    ----------
    series, beta, alpha, com, span, halflife, times, weighting, by, axis, bias, ignore_na, fill, out, threads
        As for `var`.

    Returns
    -------
    list, tuple, ndarray, Series or DataFrame
        As of `smooth`, in the samples' own unit.

    Raises
    ------
    ValueError, TypeError
        As of `var`.

    Examples
    --------
    >>> std([4.0, 1.0], beta=0.5, bias=True)
    [0.0, 1.4142135623730951]
    """  # noqa: E501  # numpydoc has no second line for names
    options = Options(DEVIATION, bool(bias), True, bool(ignore_na), bool(fill), weighting)
    decays = {"beta": beta, "alpha": alpha, "com": com, "span": span, "halflife": halflife}
    return cast(
        "T",
        answer(
            series, options, decays=decays, axis=axis, times=times, by=by, out=out, threads=threads
        ),
    )
