"""`ewma-smooth`: scalars from event files, smoothed, as a table, a picture or data."""

from __future__ import annotations

import importlib.util
import io
import os
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NoReturn, TypeVar, get_args

import click
from click.core import ParameterSource

from ewma import _aggregate_report as aggregate_report
from ewma._aggregate_command import aggregate_columns, check_options
from ewma._bands import band_from
from ewma._decay import beta_from
from ewma._output_file import write_whole
from ewma._smooth_scalars import choose_betas, smooth_columns
from ewma._threads import thread_limit
from ewma.report import (
    NAME_WIDTH,
    PICTURES,
    WRITERS,
    Smoothed,
    series_list,
    summary_lines,
    summary_table,
)
from ewma.tensorboard._columns import ScalarColumns
from ewma.tensorboard._duplicates import DuplicateStepError
from ewma.tensorboard._event_file import Verify
from ewma.tensorboard._problems import NOTE, UNREADABLE, WARNING, Problem, shown
from ewma.tensorboard._read import load_scalars

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID
    from rich.table import Table

    from ewma._aggregate_report import Smoothing
    from ewma.tensorboard._duplicates import Duplicates
    from ewma.tensorboard._restarts import Restarts

T = TypeVar("T")

_PROGRESS_AFTER = 0.5  # seconds
_INTERRUPTED = 130  # as shells have it for Ctrl-C

_WITH_FOLLOW = ("paths", "follow", "betas", "alpha", "com", "span", "halflife", "tags", "runs")


def _print_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        click.echo(f"ewma-smooth {version('ewma')}")
        context.exit()


class _Command(click.Command):
    """Says in one line what is wrong with the command, as it does of a file."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        try:
            return super().make_context(*args, **kwargs)
        except click.UsageError as error:
            _refuse(f"{shown(error.format_message())} See ewma-smooth --help.")

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except KeyboardInterrupt:
            sys.exit(_INTERRUPTED)


class _Beta(click.ParamType[float | str]):
    """A number, or "auto"."""

    name = "float"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | str:
        return "auto" if value == "auto" else click.FLOAT.convert(value, param, ctx)


@click.command(
    cls=_Command,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit status: 0, or 1 if data was damaged and left out, 2 if something could not be "
    "read at all or the command was wrong. Whatever was good is written all the same.",
)
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help=f"Write FILE; its suffix chooses how: {' '.join(WRITERS)}.",
)
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@click.option(
    "--beta",
    "--smoothing",
    "betas",
    metavar="FLOAT|auto",
    type=_Beta(),
    multiple=True,
    help="Weight kept from the past, 0 to 1: TensorBoard's slider; auto: each curve's own, the "
    "one that forecasts its next point best.  [default: 0.9]",
)
@click.option("--alpha", type=float, help="Instead: 1 - beta.")
@click.option("--com", type=float, help="Instead: centre of mass, beta / alpha.")
@click.option("--span", type=float, help="Instead: 2 / alpha - 1.")
@click.option("--halflife", type=float, help="Instead: points after which half is forgotten.")
@click.option(
    "--tag", "tags", metavar="PATTERN", multiple=True, help="Only these tags (repeatable)."
)
@click.option(
    "--run", "runs", metavar="PATTERN", multiple=True, help="Only these runs (repeatable)."
)
@click.option(
    "--restarts",
    type=click.Choice(["latest", "keep", "segment"]),
    default="latest",
    show_default=True,
    help="Of a resumed training: the latest version of each step, all, or all told apart.",
)
@click.option(
    "--duplicates",
    type=click.Choice(["keep", "first", "last", "mean", "raise"]),
    default="keep",
    show_default=True,
    help="Of a step that is there several times with no restart: all, one, their mean, or none: "
    "an error.",
)
@click.option(
    "--aggregate",
    "over",
    metavar="OVER",
    help="Describe several runs at each step by mean, std, min, max and count: 'run' takes all "
    "together; a regular expression, such as 'seed_[0-9]+', those that differ only in what it "
    "matches.",
)
@click.option(
    "--align",
    type=float,
    metavar="WIDTH",
    help="With --aggregate: interpolate each run, inside its own steps, at the multiples of WIDTH.",
)
@click.option(
    "--smooth",
    "smoothing",
    type=click.Choice(["before", "after"]),
    help="With --aggregate: smooth each run, or mean and spread.  [default: before]",
)
@click.option(
    "--band",
    metavar="BAND",
    help="In a picture, a band around each line: so many standard deviations to either side, or "
    "'std' for one; with --aggregate also 'range', lowest to highest.  [default there: std]",
)
@click.option(
    "--x",
    type=click.Choice(["step", "relative", "wall"]),
    help="What a picture's x axis shows.  [default: step]",
)
@click.option(
    "--verify",
    type=click.Choice(get_args(Verify)),
    default="scalars",
    show_default=True,
    help="Of which records to compare the checksum; images and the like are passed over.",
)
@click.option(
    "--follow", is_flag=True, help="Keep reading: a live chart, in a pipe CSV, until Ctrl-C."
)
@click.option("--list", "list_only", is_flag=True, help="List runs, tags and points, and stop.")
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and stop.",
)
def main(
    paths: tuple[str, ...],
    output: Path | None,
    force: bool,
    betas: tuple[float | str, ...],
    tags: tuple[str, ...],
    runs: tuple[str, ...],
    restarts: Restarts,
    duplicates: Duplicates,
    over: str | None,
    align: float | None,
    smoothing: Smoothing | None,
    band: str | None,
    x: str | None,
    verify: Verify,
    follow: bool,
    list_only: bool,
    **decays: Any,
) -> None:
    """Smooth the scalars in TensorBoard's event files.

    PATH is an event file, a run's folder, a tree of runs or a glob pattern. Every run and tag is
    smoothed on its own, with a bias-corrected exponential moving average.

    On a terminal a table comes out, in a pipe CSV, and with -o a file. PATTERN is a shell pattern
    for the whole name, such as 'loss*'.
    """
    if follow:
        _refuse_beside_follow()
    if len(betas) > 1:
        _refuse(f"--beta and --smoothing are one option: give it once, not {len(betas)} times.")
    decays["beta"] = betas[0] if betas else None
    given = {name: value for name, value in decays.items() if value is not None}
    is_auto = given == {"beta": "auto"}
    try:
        beta = 0.0 if is_auto else beta_from(**given)
        thread_limit(2)  # the environment may ask for what cannot be
    except (TypeError, ValueError) as error:
        _refuse(f"{error}.")
    if is_auto and follow:
        _refuse("--beta auto looks at a whole curve: give a number, or leave out --follow.")
    if is_auto and over is not None:
        _refuse("--beta auto is each curve's own: give a number, or leave out --aggregate.")
    if is_auto and band is not None:
        _refuse("--band is as wide as one beta says: give --beta a number, or leave out --band.")
    if force and output is None:
        _refuse("--force replaces a file: add -o FILE, or leave it out.")
    if list_only and output is not None:
        _refuse("--list writes no file: leave out -o, or --list.")
    picture = output is not None and output.suffix.lower()[1:] in PICTURES
    if x is not None and not picture:
        _refuse("--x is for pictures: add -o FILE.png, .svg or .pdf, or leave it out.")
    try:
        width = None if band is None else band_from(band)
        check_options(over, align, smoothing, width, picture=picture, x=x, list_only=list_only)
    except ValueError as error:
        _refuse(f"{error}.")
    if output is not None:
        try:
            _check_output(output, force)
        except OSError as error:  # a name that is too long, a folder that may not be searched
            _refuse(f"-o {shown(str(output))}: {error.strerror or error}.")
    elif sys.stdout is None:  # closed by a shell's >&-
        _refuse("there is no standard output to write to; open it, or add -o FILE.")

    if follow:
        _follow(paths, tags, runs, given or {"beta": beta})
    exit_code, columns = _load(paths, tags, runs, restarts, duplicates, verify)
    if len(columns) == 0:
        sys.exit(exit_code)
    if list_only:
        _to_stdout(lambda file: file.write(series_list(columns).encode()))
        sys.exit(exit_code)
    decay = given or {"beta": beta}
    if over is None:
        chosen = choose_betas(columns) if is_auto else None
        smoothed = smooth_columns(columns, beta if chosen is None else chosen)
        scalars = Smoothed(columns, smoothed, decay, x or "step", chosen, width)
        if chosen is not None and (output is not None or not sys.stdout.isatty()):
            for (run, tag, _), own in zip(columns.series(), chosen, strict=True):
                click.echo(f"ewma-smooth: {shown(run)} {shown(tag)}: beta {own:.5g}", err=True)
        _show(scalars, WRITERS, summary_table, summary_lines, output, force)
    else:
        try:
            groups = aggregate_columns(columns, beta, decay, over, align, smoothing, width)
        except ValueError as error:
            _refuse(f"{error}.")
        report = aggregate_report
        _show(groups, report.WRITERS, report.summary_table, report.summary_lines, output, force)
    sys.exit(exit_code)


def _show(
    data: T,
    writers: Mapping[str, Callable[[T, IO[bytes]], None]],
    table: Callable[[T], Table],
    lines: Callable[[T], str],
    output: Path | None,
    force: bool,
) -> None:
    """Write `data` into the output file, or show it as the standard output lets it be shown."""
    if output is not None:
        _write(partial(writers[output.suffix.lower()], data), output, force)
    elif sys.stdout.isatty():
        _to_stdout(lambda _: _print_table(table(data), lambda: lines(data)))
    else:
        _to_stdout(partial(writers[".csv"], data))


def _check_output(output: Path, force: bool) -> None:
    """Find before the work what would stop it afterwards."""
    if output.is_dir():
        _refuse(f"-o {shown(str(output))}: this is a folder; name a file.")
    suffix = output.suffix.lower()
    if suffix not in WRITERS:
        _refuse(f"-o {shown(str(output))}: the suffix must be one of {' '.join(WRITERS)}.")
    if suffix == ".parquet" and importlib.util.find_spec("pyarrow") is None:
        _refuse("-o FILE.parquet needs pyarrow: pip install 'ewma[parquet]', or write .csv.")
    if not output.parent.is_dir():
        _refuse(
            f"-o {shown(str(output))}: there is no folder {shown(str(output.parent))}; make it."
        )
    if output.exists() and not force:
        _refuse_to_replace(output)


def _refuse(message: str) -> NoReturn:
    click.echo(f"ewma-smooth: error: {message}", err=True)
    sys.exit(UNREADABLE)


def _refuse_to_replace(output: Path) -> NoReturn:
    _refuse(f"{shown(str(output))} exists already; add --force to replace it, or name another.")


def _refuse_beside_follow() -> None:
    context = click.get_current_context()
    for option in context.command.params:
        if (
            option.name not in _WITH_FOLLOW
            and option.name is not None
            and context.get_parameter_source(option.name) is not ParameterSource.DEFAULT
        ):
            _refuse(
                f"{option.opts[-1]} does not go with --follow, which draws a chart or, in a pipe, "
                "writes CSV; leave one of them out."
            )


def _follow(
    paths: tuple[str, ...], tags: tuple[str, ...], runs: tuple[str, ...], decay: dict[str, float]
) -> NoReturn:
    from rich.console import Console

    from ewma import _follow_cli
    from ewma._follow import SmoothingFollower

    def start(report: Callable[[Problem], None]) -> SmoothingFollower:
        return SmoothingFollower(paths, beta_from(**decay), tags=tags, runs=runs, report=report)

    try:
        if sys.stdout.isatty() and not (console := Console()).is_dumb_terminal:
            _keep_to_encoding()
            title = ", ".join(shown(path) for path in paths)
            note = ", ".join(f"{name} {value:g}" for name, value in decay.items())
            _follow_cli.follow_on_terminal(start, title, note, console)
        else:
            _to_stdout(lambda file: _follow_cli.follow_to_pipe(start, file))
    except KeyboardInterrupt:
        sys.exit(_follow_cli.INTERRUPTED)
    sys.exit(0)


def _load(
    paths: tuple[str, ...],
    tags: tuple[str, ...],
    runs: tuple[str, ...],
    restarts: Restarts,
    duplicates: Duplicates,
    verify: Verify,
) -> tuple[int, ScalarColumns]:
    """Return the exit code so far and the columns; say on stderr what was wrong."""
    try:
        with _ProgressBar() as progress:
            columns, problems = load_scalars(
                paths,
                tags=tags,
                runs=runs,
                restarts=restarts,
                duplicates=duplicates,
                verify=verify,
                progress=progress,
            )
    except DuplicateStepError as error:
        _refuse(f"{error}.")
    for problem in problems:
        kind = {NOTE: "note", WARNING: "warning"}.get(problem.exit_code, "error")
        click.echo(f"ewma-smooth: {kind}: {problem}", err=True)
    exit_code = max([0, *(problem.exit_code for problem in problems)])
    if len(columns) == 0 and exit_code != UNREADABLE:
        exit_code = UNREADABLE
        given = ", ".join(shown(path) for path in paths)
        click.echo(f"ewma-smooth: error: {given}: there are no scalars in it.", err=True)
    return exit_code, columns


def _write(write: Callable[[IO[bytes]], None], output: Path, force: bool) -> None:
    try:
        with write_whole(output, replace=force) as file:
            write(file)
    except FileExistsError:
        _refuse_to_replace(output)
    except OSError as error:
        _refuse(f"-o {shown(str(output))}: {error.strerror or error}; nothing was written.")
    click.echo(f"ewma-smooth: wrote {shown(str(output))}", err=True)


def _print_table(table: Table, lines: Callable[[], str]) -> None:
    from rich.console import Console
    from rich.measure import Measurement

    _keep_to_encoding()
    console = Console()
    unbounded = console.options.update(max_width=sys.maxsize)
    # Long names may take several lines, the numbers may not.
    foldable = sum(
        max(Measurement.get(console, unbounded, cell).maximum for cell in column.cells) - NAME_WIDTH
        for column in table.columns
        if not column.no_wrap
    )
    widest = Measurement.get(console, unbounded, table).maximum
    if widest - max(foldable, 0) <= console.width:
        console.print(table)
    else:
        click.echo(lines(), nl=False)


def _keep_to_encoding() -> None:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that is not in UTF-8


def _to_stdout(write: Callable[[IO[bytes]], object]) -> None:
    """Write, and take it in peace if the reader goes away: `| head` has seen enough."""
    stdout: IO[bytes] = sys.stdout.buffer
    # With PYTHONUNBUFFERED it is raw: it may write a part of what it is given, and no more.
    file = io.BufferedWriter(stdout) if isinstance(stdout, io.RawIOBase) else stdout
    try:
        write(file)
        file.flush()
        sys.stdout.flush()
    except OSError as error:
        # Python would try to flush once more at exit, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            _refuse(f"standard output: {error.strerror or error}; not everything was written.")
    finally:
        if file is not stdout:
            file.detach()  # type: ignore[attr-defined]  # it would close stdout


class _ProgressBar:
    """A bar on stderr, once loading has taken a while and if somebody is looking."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Callable[[int, int], None] | None:
        return self._advance if sys.stderr is not None and sys.stderr.isatty() else None

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def _advance(self, done: int, total: int) -> None:
        if self._bar is None or self._task is None:
            if time.monotonic() - self._start < _PROGRESS_AFTER:
                return
            from rich import progress
            from rich.console import Console

            self._bar = progress.Progress(
                progress.TextColumn("reading"),
                progress.BarColumn(),
                progress.DownloadColumn(),
                progress.TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._task = self._bar.add_task("reading", total=total)
            self._bar.start()
        self._bar.update(self._task, completed=done, total=total)
