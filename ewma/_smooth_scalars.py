"""`smooth_scalars`: from event files to smoothed curves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from ewma._decay import beta_from
from ewma._smooth import smooth
from ewma.tensorboard import read_scalars
from ewma.tensorboard._columns import ScalarColumns
from ewma.tensorboard._duplicates import Duplicates
from ewma.tensorboard._event_file import Verify
from ewma.tensorboard._name_filter import Patterns
from ewma.tensorboard._read import Paths
from ewma.tensorboard._restarts import Restarts

if TYPE_CHECKING:
    import pandas as pd


def smooth_scalars(
    path: Paths,
    beta: float | None = None,
    *,
    alpha: float | None = None,
    com: float | None = None,
    span: float | None = None,
    halflife: float | None = None,
    tags: Patterns = None,
    runs: Patterns = None,
    restarts: Restarts = "latest",
    duplicates: Duplicates = "keep",
    verify: Verify = "scalars",
    errors: Literal["warn", "raise"] = "warn",
) -> pd.DataFrame:
    """Read every scalar point in event files and smooth each run and tag on its own.

    Parameters
    ----------
    path, tags, runs, restarts, duplicates, verify, errors
        As for `read_scalars`. With ``restarts="segment"`` each version is smoothed on its own.
    beta, alpha, com, span, halflife
        As for `smooth`: one of them, or beta = 0.9.

    Returns
    -------
    pandas.DataFrame
        As of `read_scalars`, with one more column ``smoothed`` (float64): what TensorBoard's slider
        shows at beta, but of every point and not of a sample of them.

    Raises
    ------
    FileNotFoundError, PermissionError, OSError, ValueError, TypeError
        As `read_scalars` and `smooth` do.

    Examples
    --------
    >>> import ewma
    >>> scalars = ewma.smooth_scalars("examples/runs/digits", beta=0.9, tags="loss/train")
    >>> list(scalars.columns)
    ['run', 'tag', 'step', 'wall_time', 'value', 'smoothed']
    """
    beta = beta_from(beta, alpha, com, span, halflife)
    frame = read_scalars(
        path,
        tags=tags,
        runs=runs,
        restarts=restarts,
        duplicates=duplicates,
        verify=verify,
        errors=errors,
    )
    frame["smoothed"] = smooth_columns(ScalarColumns.from_pandas(frame), beta)
    return frame


def smooth_columns(columns: ScalarColumns, beta: float) -> npt.NDArray[np.float64]:
    """Return the smoothed values, each run and tag on its own, in the rows' order."""
    smoothed = np.empty(len(columns))
    for _, _, rows in columns.series():
        smoothed[rows] = smooth(columns.value[rows], beta)
    return smoothed
