"""`ewma-smooth --follow`: a live chart on a terminal, CSV lines in a pipe."""

from __future__ import annotations

import os
import select
import stat
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import PurePath
from typing import IO, TYPE_CHECKING

import numpy as np

from ewma._follow import SmoothingFollower
from ewma._standard_error import line_of, say
from ewma._table import write_csv
from ewma.report import HEADER, Smoothed
from ewma.tensorboard._columns import ScalarColumns
from ewma.tensorboard._follow import INTERVAL
from ewma.tensorboard._problems import Problem

if TYPE_CHECKING:
    from rich.console import Console

    from ewma._live_chart import LiveChart

Start = Callable[[Callable[[Problem], None]], SmoothingFollower]
"""Begins to follow; what goes wrong is told to its argument."""


def follow_to_pipe(start: Start, file: IO[bytes]) -> None:
    """Write a line a point as it comes, until the reader has gone."""
    follower = start(lambda problem: say(line_of(problem)))
    has_gone = _wait_for_reader(file)
    file.write((",".join(HEADER) + "\n").encode())
    file.flush()
    while True:
        for new in follower.poll():
            p = new.points
            run = np.zeros(len(p), np.int8)
            columns = ScalarColumns([p.run], p.tag_names, run, p.tag, p.step, p.wall_time, p.value)
            write_csv(Smoothed(columns, new.smoothed, {}).table(), file, header=False)
            file.flush()
        if has_gone(INTERVAL):
            return


def _wait_for_reader(file: IO[bytes]) -> Callable[[float], bool | None]:
    """Return what waits for so many seconds, or until a pipe's reader has gone."""
    try:
        mode = os.fstat(file.fileno()).st_mode
    except OSError:  # not a file of the system's
        return time.sleep
    if not hasattr(select, "poll") or not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        return time.sleep
    poll = select.poll()
    poll.register(file, 0)  # only errors: such as that nobody reads any more
    return lambda seconds: bool(poll.poll(1000 * seconds))


def follow_on_terminal(start: Start, title: str, note: str, console: Console) -> None:
    """Draw a chart anew whenever there is something new, or the terminal has another size.

    It has the screen for itself, as a terminal that is made narrower tears what it wraps; the last
    chart is left among the terminal's lines.
    """
    from rich.live import Live

    from ewma._live_chart import LiveChart

    chart = LiveChart(title, note)
    said: list[str] = []

    def report(problem: Problem) -> None:
        line = line_of(problem)
        chart.say(line_of(replace(problem, path=_near(problem.path))))
        if sys.stderr is not None and sys.stderr.isatty():
            said.append(line)  # it would tear the chart
        else:
            say(line)

    try:
        live = Live(
            chart,
            console=console,
            screen=True,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        with live:
            _draw(live.refresh, start(report), chart, console)
    finally:
        console.print(chart)
        for line in said:
            say(line)


def _near(path: str) -> str:
    """Return what tells a path from others: of a file its folder too, as runs' have one name."""
    parts = PurePath(path).parts or (path,)
    return "/".join(parts[-2:] if "tfevents" in parts[-1] else parts[-1:])


def _draw(
    refresh: Callable[[], None], follower: SmoothingFollower, chart: LiveChart, console: Console
) -> None:
    drawn, when = None, time.monotonic()
    while True:
        for new in follower.poll():
            chart.add(new)
            if time.monotonic() - when > INTERVAL:  # in a long log, show how far it is
                refresh()
                when = time.monotonic()
        if drawn != (chart.version, console.size):
            drawn = (chart.version, console.size)
            refresh()
            when = time.monotonic()
        time.sleep(INTERVAL)
