"""Runs and tags chosen by shell patterns."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from ewma.tensorboard._problems import UNREADABLE, Problem, shown

Patterns: TypeAlias = str | Sequence[str] | None

_LISTED = 20


class NameFilter:
    """Shell patterns of which a name must match one, if there are any."""

    def __init__(self, what: str, patterns: Patterns) -> None:
        self._what = what
        if not isinstance(patterns, str | Iterable | None):
            raise TypeError(f"patterns for a {what} must be a str or several, not {patterns!r}")
        self._patterns = (patterns,) if isinstance(patterns, str) else tuple(patterns or ())
        for pattern in self._patterns:
            if not isinstance(pattern, str):
                raise TypeError(f"a pattern for a {what} must be a str, not {pattern!r}")

    def __bool__(self) -> bool:
        """Return whether there are patterns."""
        return bool(self._patterns)

    def __call__(self, name: str) -> bool:
        """Return whether the name is wanted."""
        return not self._patterns or any(
            fnmatch.fnmatchcase(name, pattern) for pattern in self._patterns
        )

    def nothing_left(self, path: str, names: Iterable[str]) -> Problem:
        """Say that none of the names matches, and what they are."""
        there = sorted(names)
        listed = ", ".join(f"'{shown(name)}'" for name in there[:_LISTED])
        if len(there) > _LISTED:
            listed += f" and {len(there) - _LISTED} more"
        patterns = ", ".join(f"'{shown(pattern)}'" for pattern in self._patterns)
        message = (
            f"no {self._what} matches {patterns} (a shell pattern for the whole name); there "
            f"{'is' if len(there) == 1 else 'are'} {listed}."
        )
        return Problem(path, None, message, UNREADABLE)
