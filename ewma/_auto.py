"""`beta="auto"`: each series smoothed with the beta that it chooses."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ewma._answer import Options, answer, axis_number, check_out, result_dtype
from ewma._choose import ENOUGH, best_beta, finite
from ewma._decay import DEFAULT_BETA, given_decay
from ewma.containers import open_container

Array = npt.NDArray[Any]


def auto_beta(values: Array) -> float:
    """Return the choice, or 0.9 for a series too short to have one."""
    samples = finite(values)
    return best_beta(samples) if len(samples) >= ENOUGH else DEFAULT_BETA


def smooth_auto(
    series: Any,
    options: Options,
    decays: dict[str, Any],
    *,
    axis: int | str,
    times: Any,
    by: Any,
    out: Array | None,
    threads: int | None,
) -> Any:
    """Smooth each series along the axis with a beta of its own."""
    given_decay(**decays)  # raises for two
    if times is not None or by is not None:
        raise ValueError(
            "beta='auto' chooses for samples that come once a unit; received times or by: leave "
            "them out, or give choose_beta's answer for a part as beta"
        )
    values, close, _ = open_container(series)
    if values.dtype.kind == "c":
        raise TypeError(f"beta='auto' needs real samples; received {values.dtype}: give a beta")
    number = axis_number(axis, values.ndim, series)
    if out is not None:
        check_out(out, series, values, values.shape)
    result = np.empty(values.shape, result_dtype(values.dtype))
    source, target = np.moveaxis(values, number, -1), np.moveaxis(result, number, -1)
    betas = np.empty(source.shape[:-1])
    for place in np.ndindex(betas.shape):
        betas[place] = auto_beta(source[place])
        target[place] = answer(
            np.ascontiguousarray(source[place]),
            options,
            decays={"beta": float(betas[place])},
            axis=0,
            times=None,
            by=None,
            out=None,
            threads=threads,
        )
    if out is not None:
        np.copyto(out, result)
        return out
    closed = close(result)
    if not hasattr(closed, "attrs"):  # which pandas' objects have
        return closed
    if hasattr(closed, "columns"):
        labels = closed.columns if number == 0 else closed.index
        found = [float(beta) for beta in betas]
        closed.attrs["beta"] = dict(zip(labels, found, strict=True)) if labels.is_unique else found
    else:
        closed.attrs["beta"] = float(betas)
    return closed
