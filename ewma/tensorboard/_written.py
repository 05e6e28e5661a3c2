"""The runs that `write_scalars` and `-o LOGDIR/` wrote: how they are called, and known again."""

from __future__ import annotations

import os
import re
from collections.abc import Collection

from ewma.tensorboard._files import Run
from ewma.tensorboard._problems import NOTE, Problem

SMOOTHED = ".smoothed"  # after the name of what is not as it was read

# The time stands where "ewma" does in the names that trainings give, so none of theirs is replaced
# here. A new number each time: a TensorBoard that is running reads new files, but none twice.
FILE = "events.out.tfevents.ewma.{:06}"
OWN = r"events\.out\.tfevents\.ewma\.(\d+)"

_SHOWN = 5


def original(run: str) -> str | None:
    """Return the run that a smoothed one was made of, by its name.

    Examples
    --------
    >>> original("a/b.smoothed"), original("a.segment1.smoothed"), original("a/smoothed")
    ('a/b', 'a', 'a')
    >>> original("smoothed"), original("a")
    ('.', None)
    """
    folder, _, name = run.rpartition("/")
    match = re.fullmatch(rf"(?s)(.*?)(?:\.segment\d+)?{re.escape(SMOOTHED)}", f".{name}")
    if match is None:
        return None
    return "/".join(filter(None, (folder, match[1][1:]))) or "."


def is_smoothed(run: str, known: Collection[str]) -> bool:
    """Return whether a run is called as the smoothed one of a known run is.

    Of one run alone the smoothed one may lie in its folder, and be called as that is.
    """
    of = original(run)
    if of is None or of in known:
        return of is not None
    folder, _, name = of.rpartition("/")
    return folder in known and folder.rpartition("/")[2] == name


def is_written(name_of_file: str) -> bool:
    """Return whether a file is one of ours, by its name."""
    return re.fullmatch(OWN, name_of_file) is not None


def leave_out_smoothed(runs: list[Run], known: Collection[str]) -> tuple[list[Run], list[Problem]]:
    """Leave out the runs that are others' smoothed curves already, and say which.

    Those are ours alone, and stand beside what they were made of, which is one of `known`.
    """
    left: list[Run] = []
    written: list[Run] = []
    for run in runs:
        is_left_out = is_smoothed(run.name, known) and all(
            is_written(os.path.basename(file.path))  # noqa: PTH119
            for file in run.files
        )
        (written if is_left_out else left).append(run)
    return left, [left_out([run.name for run in written])] if written else []


def left_out(runs: list[str]) -> Problem:
    """Say that these runs were left out."""
    names = ", ".join(runs[:_SHOWN])
    if len(runs) > _SHOWN:
        names += f" and {len(runs) - _SHOWN} more"
    return Problem(names, None, "left out, as smoothed curves of the others.", NOTE)
