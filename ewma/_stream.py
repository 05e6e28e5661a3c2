"""`EMA`: the recurrence with its state kept between calls."""

from __future__ import annotations

import contextlib
import math
import operator
import sys
from collections.abc import Callable, Mapping
from copy import copy
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from ewma import _core
from ewma._answer import labels_along, result_dtype
from ewma._decay import DEFAULT_BETA, Duration, beta_of, given_decay
from ewma._elapsed import Times, as_text, duration, is_duration, open_times
from ewma.containers import open_container

Array = npt.NDArray[Any]

_VERSION = 1
# What _core.Stream keeps of each column, in its order.
_FIELDS = (
    *("mean", "mean_rest", "weight", "weight_rest", "largest", "scale", "count"),
    *("elapsed", "elapsed_rest", "first_decays"),
)
_NATIVE = (np.dtype(np.float64), np.dtype(np.float32))


class EMA(_core.Stream):
    r"""An exponential moving average of a stream: `smooth`, with its state kept.

    .. math::

        w_t = \beta w_{t-1} + 1, \qquad y_t = y_{t-1} + (x_t - y_{t-1}) / w_t

    Each call of `update` takes in the next samples, one or many, and returns what ``ewma.smooth``
    would give for them at the end of the series so far; how it was cut into calls changes nothing
    beyond rounding, a few units in the last place.

    Two states of neighbouring stretches make one, so that machines can share a long series out.
    With :math:`w, y` of the stretches 0 and 1, and n samples in stretch 1,

    .. math:: w = \beta^n w_0 + w_1, \qquad y = y_1 + \frac{\beta^n w_0}{w} (y_0 - y_1)

    and ``earlier + later`` is the EMA of both. `to_dict` and `from_dict` write a state down as what
    JSON takes, exactly; pickle and copy work too.

    Parameters
    ----------
    beta, alpha, com, span, halflife
        How much to forget, as for `smooth`: one of them, or beta = 0.9. One value, no list and no
        "auto": a stream is not there yet to choose for.
    debias, ignore_na, fill
        As for `smooth`.

    Attributes
    ----------
    mean : float or ndarray
        The mean now; NaN before the first sample.
    count : int or ndarray
        Samples seen, those that were missing left out.

    Notes
    -----
    The first call settles what a sample is: after a number, or a list or array of one dimension,
    every call has one series' samples; after a chunk of more dimensions, or a DataFrame, time is
    the first axis and each column, in its order, has a state of its own. One row of such a stream
    is a chunk of one row: ``update([row])``. With `times`, every call has them.

    Where the later of two stretches ends in a gap over which all but 2^-768 of its weight fades
    (``ignore_na=False``), the sum's mean is that of the later one until the next sample.

    It has the mean alone, each sample weighing the same: ``weighting="time"``, `var` and `std` are
    of whole series. An EMA is not for two threads at once.

    Examples
    --------
    >>> ema = EMA(beta=0.5)
    >>> ema.update(4.0), ema.update(1.0)
    (4.0, 2.0)
    >>> ema.update([3.0, None])
    [2.5714285714285716, None]
    >>> ema.mean, ema.count
    (2.5714285714285716, 3)

    A state a column:

    >>> ema = EMA(beta=0.5)
    >>> ema.update([[4.0, 0.0], [1.0, 2.0]])
    [[4.0, 0.0], [2.0, 1.3333333333333335]]
    >>> ema.mean
    array([2.        , 1.33333333])

    The first half here, the second half there:

    >>> first, second = EMA(beta=0.5), EMA(beta=0.5)
    >>> _ = first.update([4.0, 1.0]), second.update([3.0])
    >>> (first + second).mean
    2.5714285714285716
    """

    # _core.Stream's own
    _rows: int
    _plain: bool
    _means: list[float]
    _states: list[tuple[Any, ...]]
    _run: Callable[..., None]
    _join: Callable[[EMA, list[float]], None]
    _set_columns: Callable[[int], None]

    def __init__(
        self,
        beta: float | None = None,
        *,
        alpha: float | None = None,
        com: float | None = None,
        span: float | None = None,
        halflife: float | Duration | None = None,
        debias: bool = True,
        ignore_na: bool = True,
        fill: bool = False,
    ) -> None:
        name, value = given_decay(beta=beta, alpha=alpha, com=com, span=span, halflife=halflife)
        lasts = name == "halflife" and is_duration(value)
        # A duration says nothing until there are times; then beta itself is not asked for.
        beta = DEFAULT_BETA if lasts else beta_of(name, value)
        if not lasts and math.isinf(value):  # which JSON has no number for
            name, value = "beta", beta
        super().__init__(beta, bool(debias), bool(ignore_na), bool(fill))
        self._beta = beta
        self._decay = (name, as_text(duration(value)) if lasts else float(value))
        self._flags = {"debias": bool(debias), "ignore_na": bool(ignore_na), "fill": bool(fill)}
        self._shape: tuple[int, ...] = ()  # of a sample, settled by the first one
        self._clock: _Clock | None = None
        self._plain = not lasts  # a number goes the short way

    @property
    def mean(self) -> Any:
        """The mean now, a float or an array of a sample's shape; NaN before the first sample."""
        return self._of_samples(self._means, float)

    @property
    def count(self) -> Any:
        """Samples seen, those that were missing left out."""
        return self._of_samples([state[6] for state in self._states], int)

    def _of_samples(self, values: list[Any], kind: type) -> Any:
        if not self._shape:
            return kind(values[0])
        return np.array(values, np.float64 if kind is float else np.int64).reshape(self._shape)

    def _update(self, x: Any, times: Any) -> Any:
        """Take in what is not simply a float for one series without times."""
        number = not isinstance(x, list | tuple) and np.ndim(x) == 0
        chunk = [x] if number else x
        values, close, _ = open_container(chunk)
        shape = values.shape[1:]
        self._check(values, shape, number)
        if number:  # of any type: a float comes out, and so no other precision
            values = values.astype(np.float64)
        block = np.ascontiguousarray(values, None if values.dtype in _NATIVE else np.float64)
        if not block.flags.aligned:
            block = block.copy()
        gaps, clock, log_beta, unit = self._elapsed(
            [times] if number and times is not None else times, chunk, len(block)
        )
        result = np.empty_like(block)
        if len(block):
            if not self._rows:
                self._set_columns(math.prod(shape))
            self._shape, self._clock = shape, clock
            self._plain = not shape and clock is None
            self._run(block, result, gaps, log_beta, unit)
        closed = close(result.astype(result_dtype(values.dtype), copy=False))
        return closed[0] if number else closed

    def _check(self, values: Array, shape: tuple[int, ...], number: bool) -> None:
        if values.dtype.kind == "c":
            raise TypeError(
                f"samples must be real numbers; received {values.dtype}: give .real and .imag as "
                "two columns"
            )
        if not self._rows or shape == self._shape:
            return
        received = "a number" if number else f"a chunk with samples of shape {shape}"
        raise ValueError(
            f"samples must have the shape of the first one, {self._shape}; received {received}: "
            + ("give a row as update([row])" if self._shape else "make an EMA for each series")
        )

    def _elapsed(
        self, times: Any, chunk: Any, rows: int
    ) -> tuple[Array | None, _Clock | None, float, float]:
        """Return the time before each row, the clock afterwards, beta's logarithm and the unit."""
        if times is None:
            if self._clock is not None:
                raise ValueError(
                    "times must come with every call or with none; received none: give them as "
                    "before"
                )
            if isinstance(self._decay[1], str):
                raise ValueError(
                    f"halflife={self._decay[1]!r} needs times that are dates or durations; "
                    "received none: give them, or a halflife in samples"
                )
            return None, None, 0.0, 1.0
        if self._clock is None and self._rows:
            raise ValueError(
                "times must come with every call or with none; received some after a call without"
            )
        opened = _in_nanoseconds(open_times(times, labels_along(chunk, 0), rows, None))
        log_beta = self._log_beta(opened)
        if not rows:
            return None, self._clock, log_beta, opened.unit
        whole = opened.at.dtype == np.int64
        first, last = opened.at[0].item(), opened.at[-1].item()
        gaps = np.empty(rows)
        # As unsigned numbers the differences of whole ones do not overflow.
        with np.errstate(over="ignore"):
            gaps[1:] = np.diff(opened.at.view(np.uint64) if whole else opened.at)
        gaps[0] = (
            math.nan
            if self._clock is None
            else self._clock.until(first, opened.kind, " at position 0 of this call", opened.shown)
        )
        start = first if self._clock is None else self._clock.first
        return gaps, _Clock(start, last, opened.kind), log_beta, opened.unit

    def _log_beta(self, times: Times) -> float:
        return times.log_beta(*self._decay, self._beta)

    def __add__(self, later: Self) -> Self:
        if not isinstance(later, EMA):
            return NotImplemented
        if self._forgets() != later._forgets():
            raise ValueError(
                f"both must forget alike; received {self!r} + {later!r}: make both with the same "
                "options"
            )
        if not later._rows:
            return copy(self)
        total = copy(later)
        if not self._rows:
            return total
        if self._shape != later._shape or (self._clock is None) != (later._clock is None):
            raise ValueError(
                "both must have samples of one shape, and both times or neither; received shapes "
                f"{self._shape} and {later._shape}: combine states of one series"
            )
        elapsed = total._follow(self)
        if self._clock is None or later._clock is None:
            powers = [self._beta**ticks for ticks in elapsed]
        else:
            total._clock = later._clock._replace(first=self._clock.first)
            log_beta = self._log_beta(later._clock.times())
            powers = [math.exp(log_beta * time) if time > 0 else 1.0 for time in elapsed]
        total._join(self, powers)
        return total

    def _forgets(self) -> tuple[float | str, dict[str, bool]]:
        _, value = self._decay
        return value if isinstance(value, str) else self._beta, self._flags

    def _follow(self, earlier: EMA) -> list[float]:
        """Return for how long the past has decayed since `earlier`, in each column."""
        states = [dict(zip(_FIELDS, state, strict=True)) for state in self._states]
        if self._clock is None or earlier._clock is None:
            seen = self._flags["ignore_na"]
            return [state["count"] if seen else self._rows for state in states]
        if not self._flags["debias"]:
            raise ValueError(
                "states with times combine only with debias=True: without, the first sample counts "
                "by a time before it that was not known; received debias=False"
            )
        gap = earlier._clock.until(
            self._clock.first, self._clock.kind, shown=self._clock.times().shown
        )
        elapsed = []
        for state, before in zip(states, earlier._states, strict=True):
            parts = [state["elapsed"], state["elapsed_rest"], gap if state["first_decays"] else 0]
            elapsed.append(_finite_sum(parts)[0])
            state["elapsed"], state["elapsed_rest"] = _finite_sum([*parts, *before[7:9]])
            state["first_decays"] = before[9]
        self._states = [tuple(state.values()) for state in states]
        return elapsed

    def to_dict(self) -> dict[str, Any]:
        """Return the options and the state as what JSON takes, from which `from_dict` makes it."""
        columns = zip(*self._states, strict=True) if self._states else [()] * len(_FIELDS)
        return {
            "version": _VERSION,
            "decay": dict([self._decay]),
            **self._flags,
            "rows": self._rows,
            "shape": list(self._shape),
            "times": None if self._clock is None else self._clock._asdict(),
            "columns": dict(zip(_FIELDS, map(list, columns), strict=True)),
        }

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Self:
        """Return the EMA that `to_dict` wrote down.

        Raises
        ------
        ValueError
            If it is something else, or written by a later version.
        """
        try:
            version = state["version"]
            if version == _VERSION:
                flags = {name: state[name] for name in ("debias", "ignore_na", "fill")}
                ema = cls(**state["decay"], **flags)
                columns = [state["columns"][field] for field in _FIELDS]
                ema._states = list(zip(*columns, strict=True))
                ema._rows = state["rows"]
                ema._shape = tuple(map(operator.index, state["shape"]))
                if len(ema._states) != math.prod(ema._shape):
                    raise ValueError("its columns do not fit its shape")
                counts = [ema._rows, *state["columns"]["count"], *state["columns"]["weight"]]
                if not all(count >= 0 for count in counts) or not all(
                    isinstance(flag, bool) for flag in flags.values()
                ):
                    raise ValueError("a count or a weight is negative, or a flag is no bool")
                if state["times"] is not None:
                    ema._clock = _Clock(**state["times"])
                    first, last, kind = ema._clock
                    if kind not in _KINDS or not first <= last:
                        raise ValueError("its times are of no kind, or end before they begin")
                ema._plain = ema._plain and not ema._shape and ema._clock is None
                return ema
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise ValueError(
                f"state must be what EMA.to_dict returned; received something else ({error!r})"
            ) from error
        raise ValueError(
            f"state must be of version {_VERSION}; received version {version!r}: update ewma"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).from_dict, (self.to_dict(),)

    def __repr__(self) -> str:
        options = {**dict([self._decay]), **self._flags}
        return f"EMA({', '.join(f'{name}={value!r}' for name, value in options.items())})"


_KINDS = {"": "numbers", "M": "dates", "m": "durations"}


class _Clock(NamedTuple):
    """When a stream began and how far it is: numbers, or nanoseconds of dates or durations."""

    first: float
    last: float
    kind: str  # as that of Times

    def until(
        self, time: float, kind: str, place: str = "", shown: Callable[[float], str] = str
    ) -> float:
        """Return how long it is until the next row; an error says its place and shows times."""
        if kind != self.kind:
            raise ValueError(
                "times must be numbers, dates or durations throughout; received "
                f"{_KINDS[kind]} after {_KINDS[self.kind]}"
            )
        if time < self.last:
            raise ValueError(
                f"times must not go backwards; received {shown(time)}{place} after "
                f"{shown(self.last)}: give the chunks in the order of time"
            )
        return float(time - self.last)

    def times(self) -> Times:
        """Return a clock's kind of times, without any."""
        return Times(np.empty(0), 1e9 if self.kind else 1.0, self.kind)


def _finite_sum(times: list[float]) -> tuple[float, float]:
    """Return a sum and what rounding took from it; the largest float where it is more."""
    with contextlib.suppress(OverflowError):
        total = math.fsum(times)
        if total < math.inf:
            return total, math.fsum([*times, -total])
    return sys.float_info.max, 0.0


def _in_nanoseconds(times: Times) -> Times:
    """Return times whose steps are the same in every call: dates' are of many kinds."""
    if not times.kind or times.unit == 1e9:
        return times
    steps = 1e9 / times.unit
    if steps < 1 or (len(times.at) and float(np.abs(times.at[[0, -1]]).max()) * steps >= 2.0**63):
        raise ValueError(
            "dates must lie between 1678 and 2262, and be in nanoseconds or longer steps; received "
            f"steps of {1 / times.unit:g} s from {times.at[:1]} to {times.at[-1:]}"
        )
    return times._replace(at=times.at * np.int64(round(steps)), unit=1e9)
