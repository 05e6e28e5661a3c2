"""How many threads a call may use."""

from __future__ import annotations

import operator
import os

# Fewer samples a thread are smoothed sooner than a thread is started.
SAMPLES_PER_THREAD = 1 << 18
# More threads than this wait for memory.
_MOST = 8
# Of threads that wait for a network; each has a block of what it reads in memory.
_MOST_WAITING = 16


def thread_count(size: int, threads: int | None) -> int:
    """Return how many threads to smooth `size` samples with; None leaves it to the machine."""
    most = size // SAMPLES_PER_THREAD
    if threads is None:
        return thread_limit(most)
    return max(1, min(_checked(threads, "threads"), most))


def thread_limit(most: int) -> int:
    """Return how many threads to use for work that pays for so many."""
    return 1 if most < 2 else min(_named() or _cores(), most)


def waiting_thread_limit(most: int) -> int:
    """Return how many threads to use for so many pieces of work that wait for a network."""
    return 1 if most < 2 else min(_named() or _MOST_WAITING, most)


def _named() -> int | None:
    named = os.environ.get("EWMA_NUM_THREADS", "")
    return _checked(named, "the environment variable EWMA_NUM_THREADS") if named else None


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # those that this process may use
        return min(_MOST, len(os.sched_getaffinity(0)))
    return min(_MOST, os.cpu_count() or 1)


def _checked(threads: int | str, name: str) -> int:
    try:
        count = int(threads) if isinstance(threads, str) else operator.index(threads)
    except (TypeError, ValueError):
        count = 0
    if count < 1 or isinstance(threads, bool):
        raise ValueError(
            f"{name} must be a whole number of at least 1 (1: no other threads); "
            f"received {threads!r}"
        )
    return count
