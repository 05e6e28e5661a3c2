"""What `ewma-smooth --aggregate` does with its options and the scalars."""

from __future__ import annotations

from ewma._aggregate import aggregate_series, check_width, over_pattern
from ewma._aggregate_report import Aggregated, Smoothing
from ewma._bands import AnyBand, check_band
from ewma._smooth_scalars import smooth_columns
from ewma.tensorboard._columns import ScalarColumns


def check_options(
    over: str | None,
    align: float | None,
    smoothing: Smoothing | None,
    band: AnyBand | None,
    *,
    picture: bool,
    x: str | None,
    list_only: bool,
    to_folder: bool,
    restarts: str,
) -> None:
    """Find before the work which options do not go together."""
    if band is not None:
        check_option_band(band, picture=picture, aggregated=over is not None)
    if over is None:
        for option, value in {"--align": align, "--smooth": smoothing}.items():
            if value is not None:
                raise ValueError(
                    f"{option} is for several runs together: add --aggregate, or leave it out"
                )
        return
    if list_only:
        raise ValueError("--list shows the runs there are: leave out --aggregate, or --list")
    if to_folder:
        raise ValueError(
            "-o LOGDIR/ takes the curves of runs: leave out --aggregate, or write .csv"
        )
    if restarts == "segment":
        raise ValueError(
            "--aggregate counts each run once: leave out --restarts segment, or --aggregate"
        )
    if x not in (None, "step"):
        raise ValueError(f"--aggregate compares steps: leave out --x {x}, or --aggregate")
    try:
        check_width(align)
    except ValueError as error:
        raise ValueError(f"--{error}") from None
    try:
        over_pattern(over)
    except ValueError as error:
        raise ValueError(f"--aggregate: {error}") from None


def check_option_band(band: AnyBand, *, picture: bool, aggregated: bool) -> None:
    """Find before the work whether there can be such a band."""
    if not picture:
        raise ValueError("--band is for pictures: add -o FILE.png, .svg or .pdf, or leave it out")
    try:
        check_band(band)
    except ValueError as error:
        raise ValueError(f"--{error}") from None
    if band == "range" and not aggregated:
        raise ValueError(
            "--band range is for several runs together: add --aggregate, or give a number of "
            "standard deviations"
        )


def aggregate_columns(
    columns: ScalarColumns,
    beta: float,
    decay: dict[str, float],
    over: str,
    align: float | None,
    smoothing: Smoothing | None,
    band: AnyBand | None,
) -> Aggregated:
    """Aggregate what was read, smoothed before or after."""
    before = smoothing != "after"
    values = smooth_columns(columns, beta) if before else columns.value
    series = ((run, tag, columns.step[rows], values[rows]) for run, tag, rows in columns.series())
    try:
        aggregates = aggregate_series(series, over, align, None if before else beta)
    except ValueError as error:
        raise ValueError(f"--aggregate: {error}") from None
    if not aggregates:
        raise ValueError(
            f"--align {align}: no run has a multiple of it between its steps; give less"
        )
    return Aggregated(aggregates, decay, smoothing or "before", band or "std")
