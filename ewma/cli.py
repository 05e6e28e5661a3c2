"""`ewma-smooth`: scalars from event files, smoothed, as a table, a picture or data."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, get_args

import click
from click.core import ParameterSource

from ewma._aggregate_command import aggregate_columns, check_options
from ewma._bands import band_from
from ewma._decay import beta_from
from ewma._event_output import name_as_folders, write_runs
from ewma._output import SUFFIXES, Output, Report, check_wide
from ewma._progress_bar import ProgressBar
from ewma._smooth_scalars import choose_betas, smooth_columns
from ewma._standard_error import line_of, refuse, say
from ewma._standard_output import keep_to_encoding, print_summary, to_stdout
from ewma._table import write_csv
from ewma._threads import thread_limit
from ewma.report import Smoothed, series_list
from ewma.tensorboard._columns import ScalarColumns
from ewma.tensorboard._duplicates import DuplicateStepError
from ewma.tensorboard._event_file import Verify
from ewma.tensorboard._problems import UNREADABLE, Problem, shown
from ewma.tensorboard._read import load_scalars
from ewma.tensorboard._url import NO_FOLLOWING, NO_WRITING, is_url, local_path

if TYPE_CHECKING:
    from ewma._aggregate_report import Smoothing
    from ewma.tensorboard._duplicates import Duplicates
    from ewma.tensorboard._restarts import Restarts

_INTERRUPTED = 130  # as shells have it for Ctrl-C

_TERMINATED = 143
_SHOWN = 5  # runs that were left out

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
            refuse(f"{error.format_message()} See ewma-smooth --help.")

    def invoke(self, context: click.Context) -> Any:
        try:
            with _orderly_end():
                return super().invoke(context)
        except KeyboardInterrupt:
            sys.exit(_INTERRUPTED)


@contextlib.contextmanager
def _orderly_end() -> Iterator[None]:
    """Let SIGTERM end the program as Ctrl-C does.

    No half-written file is left, and no shell without its cursor.
    """
    is_ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    )
    if is_ours:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))
    try:
        yield
    finally:
        if is_ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


class _Beta(click.ParamType[float | str]):
    """A number, or "auto"."""

    name = "float"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | str:
        if value == "auto":
            return "auto"
        try:
            return float(value)
        except ValueError:
            self.fail(f"{value!r} is neither a number nor 'auto'.", param, ctx)


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
    "given_output",
    metavar="FILE|LOGDIR/",
    help=f"Write FILE as its suffix says: {' '.join(SUFFIXES)}. A name with a slash at its end, or "
    "a folder, is LOGDIR: event files for TensorBoard, each run as RUN.smoothed.",
)
@click.option(
    "--force",
    is_flag=True,
    help="Replace FILE if it is there; write into runs of LOGDIR that have event files.",
)
@click.option(
    "--wide",
    "is_wide",
    is_flag=True,
    help="In data, not a row for each point but for each run and step, with columns TAG and "
    "TAG.smoothed for each tag; with --aggregate TAG.mean and so on.",
)
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
    given_output: str | None,
    force: bool,
    is_wide: bool,
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

    PATH may be a URL: s3://, gs://, https://, zip://runs::logs.zip and the like need
    pip install 'ewma[remote]'. Options for them come from the environment: AWS_ENDPOINT_URL,
    FSSPEC_S3='{"anon": true}'.

    On a terminal a table comes out, in a pipe CSV, and with -o a file. PATTERN is a shell pattern
    for the whole name, such as 'loss*'.
    """
    if follow:
        _refuse_beside_follow()
    if len(betas) > 1:
        refuse(f"--beta and --smoothing are one option: give it once, not {len(betas)} times.")
    decays["beta"] = betas[0] if betas else None
    given = {name: value for name, value in decays.items() if value is not None}
    is_auto = given == {"beta": "auto"}
    try:
        beta = 0.0 if is_auto else beta_from(**given)
        thread_limit(2)  # the environment may ask for what cannot be
    except (TypeError, ValueError) as error:
        refuse(f"{error}.")
    url = next(filter(is_url, paths), None) if follow else None
    if url is not None:
        refuse(f"{url}: {NO_FOLLOWING}.")
    if is_auto and follow:
        refuse("--beta auto looks at a whole curve: give a number, or leave out --follow.")
    if is_auto and over is not None:
        refuse("--beta auto is each curve's own: give a number, or leave out --aggregate.")
    if given_output is not None and is_url(given_output):
        refuse(f"-o {given_output}: {NO_WRITING}.")
    output = None if given_output is None else Output.of(local_path(given_output))
    if force and output is None:
        refuse("--force replaces a file: add -o FILE, or leave it out.")
    if list_only and output is not None:
        refuse("--list writes no file: leave out -o, or --list.")
    if output is None and sys.stdout is None:  # closed by a shell's >&-
        refuse("there is no standard output to write to; open it, or add -o FILE.")
    picture = output is not None and output.is_picture
    to_folder = output is not None and output.is_folder
    if x is not None and not picture:
        refuse("--x is for pictures: add -o FILE.png, .svg or .pdf, or leave it out.")
    try:
        width = None if band is None else band_from(band)
        check_options(
            over,
            align,
            smoothing,
            width,
            picture=picture,
            x=x,
            list_only=list_only,
            to_folder=to_folder,
            restarts=restarts,
        )
        if is_wide:
            check_wide(output, list_only=list_only)
        if output is not None:
            output.check(replace=force)
    except ValueError as error:
        refuse(f"{error}.")
    except OSError as error:  # a name that is too long, a folder that may not be searched
        refuse(f"-o {output}: {error.strerror or error}.")

    if follow:
        _follow(paths, tags, runs, given or {"beta": beta})
    exit_code, columns = _load(
        paths, tags, runs, restarts, duplicates, verify, smoothed_too=list_only
    )
    if len(columns) == 0:
        sys.exit(exit_code)
    if list_only:
        to_stdout(lambda file: file.write(series_list(columns).encode()))
        sys.exit(exit_code)
    if to_folder:
        name_as_folders(columns, paths)
    decay = given or {"beta": beta}
    report: Report
    if over is None:
        chosen = choose_betas(columns) if is_auto else None
        smoothed = smooth_columns(columns, beta if chosen is None else chosen)
        report = Smoothed(columns, smoothed, decay, x or "step", chosen, width)
        if chosen is not None and (output is not None or not sys.stdout.isatty()):
            for (run, tag, _), own in zip(columns.series(), chosen, strict=True):
                say(f"{run} {tag}: beta {own:.5g}")
    else:
        try:
            report = aggregate_columns(columns, beta, decay, over, align, smoothing, width)
        except ValueError as error:
            refuse(f"{error}.")
        if align is None and (note := report.note()) is not None:
            say(note)
    if output is None:
        _show(report, is_wide=is_wide)
    else:
        exit_code = max(exit_code, _write(report, output, is_wide=is_wide, force=force))
    sys.exit(exit_code)


def _show(report: Report, *, is_wide: bool) -> None:
    """Show a report as the standard output lets it be shown."""
    if sys.stdout.isatty():
        to_stdout(lambda _: print_summary(report))
        return
    try:
        table = report.table(is_wide=is_wide)
    except ValueError as error:
        refuse(f"{error}.")
    to_stdout(partial(write_csv, table))


def _refuse_beside_follow() -> None:
    context = click.get_current_context()
    for option in context.command.params:
        if (
            option.name not in _WITH_FOLLOW
            and option.name is not None
            and context.get_parameter_source(option.name) is not ParameterSource.DEFAULT
        ):
            refuse(
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

    if sys.stdout.isatty() and not (console := Console()).is_dumb_terminal:
        keep_to_encoding()
        title = ", ".join(shown(path) for path in paths)
        note = ", ".join(f"{name} {value:g}" for name, value in decay.items())
        _follow_cli.follow_on_terminal(start, title, note, console)
    else:
        to_stdout(lambda file: _follow_cli.follow_to_pipe(start, file))
    sys.exit(0)


def _load(
    paths: tuple[str, ...],
    tags: tuple[str, ...],
    runs: tuple[str, ...],
    restarts: Restarts,
    duplicates: Duplicates,
    verify: Verify,
    *,
    smoothed_too: bool,
) -> tuple[int, ScalarColumns]:
    """Return the exit code so far and the columns; say on stderr what was wrong."""
    if any(map(is_url, paths)):
        import logging

        # What libraries of clouds log, before the error that follows, is for programmers.
        logging.getLogger().addHandler(logging.NullHandler())
    try:
        with ProgressBar() as progress:
            columns, problems = load_scalars(
                paths,
                tags=tags,
                runs=runs,
                restarts=restarts,
                duplicates=duplicates,
                verify=verify,
                smoothed_too=smoothed_too,
                progress=progress,
            )
    except DuplicateStepError as error:
        refuse(f"{error}.")
    for problem in problems:
        say(line_of(problem))
    exit_code = max([0, *(problem.exit_code for problem in problems)])
    if len(columns) == 0 and exit_code != UNREADABLE:
        exit_code = UNREADABLE
        given = ", ".join(paths)
        say(f"error: {given}: there are no scalars in it.")
    return exit_code, columns


def _write(report: Report, output: Output, *, is_wide: bool, force: bool) -> int:
    """Write a report where -o leads, say so, and return the exit code."""
    wrote = str(output)
    refused: list[OSError | ValueError] = []
    try:
        if isinstance(report, Smoothed) and output.is_folder:
            runs = write_runs(report, output.path, force=force, refused=refused.append)
            if runs == 0:
                refuse(f"-o {output}: {_reason(refused[0])}; nothing was written.")
            wrote = f"{runs} run{'' if runs == 1 else 's'} into {output}"
        else:
            output.write(report, is_wide=is_wide, replace=force)
    except ValueError as error:
        refuse(f"{error}.")
    except OSError as error:
        reason = _reason(error) if output.is_folder else error.strerror or error
        refuse(f"-o {output}: {reason}; nothing was written.")
    for why in refused[:_SHOWN]:
        say(f"error: -o {output}: {_reason(why)}; this run was left out.")
    if len(refused) > _SHOWN:
        say(f"error: -o {output}: {len(refused) - _SHOWN} more runs were left out.")
    say(f"wrote {wrote}")
    return UNREADABLE if refused else 0


def _reason(error: OSError | ValueError) -> str:
    if not isinstance(error, OSError):
        return str(error)
    where = f" ({error.filename})" if error.filename else ""
    return f"{error.strerror or error}{where}"
