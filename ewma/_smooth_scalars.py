"""`smooth_scalars`: from event files to smoothed curves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import repeat
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from ewma._auto import auto_beta
from ewma._decay import Auto, beta_from, given_decay
from ewma._smooth import smooth
from ewma.tensorboard._columns import ScalarColumns
from ewma.tensorboard._duplicates import Duplicates
from ewma.tensorboard._event_file import Verify
from ewma.tensorboard._name_filter import Patterns
from ewma.tensorboard._read import Paths, read_frame
from ewma.tensorboard._restarts import Restarts

if TYPE_CHECKING:
    import pandas as pd

# One for all, or one for each run and tag.
Betas: TypeAlias = float | list[float]


def smooth_scalars(
    path: Paths,
    beta: float | Auto | None = None,
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
    storage_options: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    """Read every scalar point in event files and smooth each run and tag on its own.

    Parameters
    ----------
    path, tags, runs, restarts, duplicates, verify, errors, storage_options
        As for `read_scalars`. With ``restarts="segment"`` each version is smoothed on its own.
        The smoothed curves that `write_scalars` or ``ewma-smooth -o LOGDIR/`` wrote beside their
        runs are left out: they are not smoothed again, unless `runs` chooses them alone.
    beta, alpha, com, span, halflife
        As for `smooth`: one of them, or beta = 0.9. With ``beta="auto"`` each run and tag has the
        beta that `choose_beta` chooses, or 0.9 where it has fewer than 3 points.

    Returns
    -------
    pandas.DataFrame
        As of `read_scalars`, with one more column ``smoothed`` (float64): what TensorBoard's slider
        shows at beta, but of every point and not of a sample of them. With ``beta="auto"`` its
        ``attrs["beta"]`` is a dict of {(run, tag): beta}, of the last version where
        there are several.

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
    decays = {"beta": beta, "alpha": alpha, "com": com, "span": span, "halflife": halflife}
    is_auto = given_decay(**decays) == ("beta", "auto")
    betas: Betas = [] if is_auto else beta_from(**cast("dict[str, float]", decays))
    frame = read_frame(
        path,
        tags=tags,
        runs=runs,
        restarts=restarts,
        duplicates=duplicates,
        verify=verify,
        errors=errors,
        storage_options=storage_options,
    )
    columns = ScalarColumns.from_pandas(frame)
    if is_auto:
        betas = choose_betas(columns)
        names = ((run, tag) for run, tag, _ in columns.series())
        frame.attrs["beta"] = dict(zip(names, betas, strict=True))
    frame["smoothed"] = smooth_columns(columns, betas)
    return frame


def choose_betas(columns: ScalarColumns) -> list[float]:
    """Return the beta that each run and tag chooses for itself."""
    return [auto_beta(columns.value[rows]) for _, _, rows in columns.series()]


def smooth_columns(columns: ScalarColumns, betas: Betas) -> npt.NDArray[np.float64]:
    """Return the smoothed values, each run and tag on its own, in the rows' order."""
    smoothed = np.empty(len(columns))
    for (_, _, rows), beta in zip(columns.series(), _each(betas), strict=False):
        smoothed[rows] = smooth(columns.value[rows], beta)
    return smoothed


def _each(betas: Betas) -> Iterable[float]:
    return repeat(betas) if isinstance(betas, float) else betas
