"""`smooth`: the mean that forgets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

from ewma import _core
from ewma._decay import DEFAULT_BETA, Auto, Decay, Halflife
from ewma._threads import SAMPLES_PER_THREAD
from ewma.containers import open_container

if TYPE_CHECKING:
    from ewma._answer import Weighting

T = TypeVar("T")
Array = npt.NDArray[Any]

_FLOAT64, _FLOAT32 = np.dtype(np.float64), np.dtype(np.float32)


def smooth(
    series: T,
    beta: Decay | Auto = None,
    *,
    alpha: Decay = None,
    com: Decay = None,
    span: Decay = None,
    halflife: Halflife = None,
    times: Any = None,
    weighting: Weighting = "sample",
    by: Any = None,
    axis: int | str = 0,
    debias: bool = True,
    ignore_na: bool = True,
    fill: bool = False,
    out: Array | None = None,
    threads: int | None = None,
) -> T:
    r"""Smooth with a bias-corrected exponential moving average.

    .. math::

        w_t = \beta w_{t-1} + 1, \qquad y_t = y_{t-1} + (x_t - y_{t-1}) / w_t

    so that :math:`y_t` is the mean of all samples so far, each weighted by beta to the power of
    its age. At beta = w this is TensorBoard's slider at w.

    Parameters
    ----------
    series : list, tuple, ndarray, Series or DataFrame
        Samples :math:`x_t` along `axis`; numbers of any type. Series and DataFrames are pandas' or
        polars'.
    beta : float, several or "auto", default 0.9
        Weight kept from the past, 0 <= beta <= 1: 0 returns the samples, 1 is the running mean.
        A list of betas gives a result for each, from one pass over the samples. "auto" is the
        choice of `choose_beta` for each series, or 0.9 where there are fewer than 3 samples. A
        pandas result names it in ``attrs["beta"]``: a number, for a DataFrame a dict by label, or
        a list in their order where labels repeat. Of anything else ``choose_beta(series)``
        returns the same number, one series at a time.
    alpha, com, span, halflife : float or several, optional
        Instead of `beta`, pandas' names for how much to forget: alpha = 1 - beta,
        com = beta / alpha, span = 2 / alpha - 1, halflife = log(1/2) / log(beta), the last three
        in samples, or in `times`' unit. With dates, halflife is a duration: "10s", a Timedelta.
    times : array, Series, Index or "index", optional
        When each sample was taken: numbers, dates or durations that do not go backwards, one for
        each place along `axis`; "index" is a pandas object's own. The past then decays by beta to
        the power of the time since the sample before: not at all at the same time. Without,
        samples come once a unit.
    weighting : "sample" or "time", default "sample"
        Whether each sample counts once, or with `times` for the time it stood, see Notes.
    by : array, Series, Categorical or a list of several, optional
        The group of each place along `axis`; each group is smoothed on its own. Keys of any
        hashable type, in any order, polars' and Arrow's too; what is missing is a group too.
    axis : int or str, default 0
        Where time runs; for a DataFrame also "index" or "columns".
    debias : bool, default True
        Whether to correct the bias towards the start at 0. Without, :math:`y_0 = 0` and the gain
        is always 1 - beta, or with `times` 1 - beta to the power of the time since the sample
        before: a unit for the first one, a second where times are dates.
    ignore_na : bool, default True
        A sample that is missing or not finite (NaN, NA, None, inf) leaves the state as it is. With
        True the clock stops over it (TensorBoard); with False the past decays across it (pandas'
        default).
    fill : bool, default False
        Whether such a sample comes out as the mean at that time (pandas), NaN before the first
        good sample. Otherwise it comes out as it went in.
    out : ndarray, optional
        Where to write the result of smoothing an array; its shape and dtype must be the result's.
        `out` may be `series`.
    threads : int, optional
        The most threads to use. By default as many as there are cores (at most 8) or the
        environment variable ``EWMA_NUM_THREADS`` says; fewer than 2**19 samples, counted
        once for each beta, take one. Where one
        long series is cut between them, its means may differ in the last digits.

    Returns
    -------
    list, tuple, ndarray, Series or DataFrame
        What `series` is, of the same shape, with the same labels; for a subclass (a named tuple, a
        matrix) the type of these that it derives from. float dtypes are kept (all are computed in
        float64), complex ones too; integers and bools become float64. With several betas: an array
        has a new first axis, a list is one of lists, and pandas gives a DataFrame whose columns are
        the betas, or (beta, column), polars one whose columns are named "beta=0.9", or
        "column beta=0.9".

    Raises
    ------
    ValueError
        For a decay outside its range or two of them, an axis that is not there, a ragged list, an
        `out` of the wrong shape, times that go backwards or are missing.
    TypeError
        For samples that are not numbers, an unknown container, an `out` of the wrong dtype.

    See Also
    --------
    choose_beta : What ``beta="auto"`` takes.
    EMA : The same for a stream, with its state kept between calls.
    var, std : How far the samples spread around the mean.
    gain, step : The recurrence itself, for one step.

    Notes
    -----
    ``smooth(s, alpha=a, ignore_na=i, fill=True)`` equals ``s.ewm(alpha=a, ignore_na=i).mean()``.

    With `times`, and :math:`d_t = \beta^{\Delta t}` for the time :math:`\Delta t` since the sample
    before,

    .. math:: w_t = d_t w_{t-1} + b_t, \qquad y_t = y_{t-1} + (x_t - y_{t-1}) b_t / w_t

    where :math:`b_t` is 1 for ``weighting="sample"`` (pandas' ``ewm(times=...)``), so that ten
    samples in a second count ten times as much as one. For ``weighting="time"`` it is
    :math:`1 - d_t`: a sample counts for the time since the one before it, as if the series had been
    sampled evenly and each value stood until its time stamp, so that a dense burst does not drown a
    long quiet stretch. Samples at even times give the same means either way. How long the first one
    stood is not known: as long as the next one.

    References
    ----------
    U. Müller, "Specially weighted moving averages with repeated application of the EMA operator",
    1991, and A. Eckner, "Algorithms for unevenly spaced time series: moving averages and other
    rolling operators", 2012, whose EMA_next is ``weighting="time"`` without bias correction.

    Examples
    --------
    >>> smooth([4.0, 1.0, 3.0], beta=0.5)
    [4.0, 2.0, 2.5714285714285716]
    >>> smooth([4.0, None, 1.0], beta=0.5)
    [4.0, None, 2.0]
    >>> smooth([4.0, None, 1.0], beta=0.5, ignore_na=False, fill=True)
    [4.0, 4.0, 1.6]
    >>> smooth([4.0, 1.0], beta=0.5, times=[0, 2])
    [4.0, 1.6]
    >>> smooth([4.0, 7.0, 1.0], beta=0.5, by=["a", "b", "a"])
    [4.0, 7.0, 2.0]
    >>> smooth([4.0, 1.0], beta=[0.0, 0.5])
    [[4.0, 1.0], [4.0, 2.0]]
    """
    data: Any = series
    opened = None
    # The common case without a detour, for short series are smoothed often.
    if (
        times is None
        and by is None
        and (threads is None or (type(threads) is int and threads >= 1))
        and alpha is None
        and com is None
        and span is None
        and halflife is None
        and (beta is None or (type(beta) is float and 0.0 <= beta <= 1.0))
        and weighting == "sample"
        and type(axis) is int
        and axis == 0
    ):
        if type(data) is np.ndarray:
            values = data
        else:
            opened = open_container(data)
            values = opened.values
        if _is_plain(values) and (out is None or _takes_plain(out, values, data)):
            target = np.empty(len(values), values.dtype) if out is None else out
            _core.smooth(
                values,
                target,
                1,
                len(values),
                1,
                DEFAULT_BETA if beta is None else beta,
                bool(debias),
                bool(ignore_na),
                bool(fill),
            )
            return cast("T", target if opened is None else opened.close(target))
    from ewma._answer import MEAN, Options, answer

    options = Options(MEAN, False, bool(debias), bool(ignore_na), bool(fill), weighting)
    decays = {"beta": beta, "alpha": alpha, "com": com, "span": span, "halflife": halflife}
    if isinstance(beta, str) and beta == "auto":
        from ewma._auto import smooth_auto

        return cast(
            "T",
            smooth_auto(
                data, options, decays, axis=axis, times=times, by=by, out=out, threads=threads
            ),
        )
    return cast(
        "T",
        answer(
            data,
            options,
            opened=opened,
            decays=decays,
            axis=axis,
            times=times,
            by=by,
            out=out,
            threads=threads,
        ),
    )


def _is_plain(array: Array) -> bool:
    """Return whether the kernel takes an array as it is, in one thread."""
    if array.dtype is not _FLOAT64 and array.dtype is not _FLOAT32:
        return False
    if array.ndim != 1 or len(array) >= 2 * SAMPLES_PER_THREAD:
        return False
    flags = array.flags  # pandas' own memory is not writeable
    return flags.c_contiguous and flags.aligned


def _takes_plain(out: Any, values: Array, data: Any) -> bool:
    """Return whether `out` can be written as it is: it is the input, or lies elsewhere."""
    return (
        values is data
        and type(out) is np.ndarray
        and _is_plain(out)
        and out.dtype is values.dtype
        and out.flags.writeable
        and len(out) == len(values)
        and (out is values or not np.may_share_memory(out, values))
    )
