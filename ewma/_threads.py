"""How many threads a call may use."""

from __future__ import annotations

import operator
import os

# Fewer samples a thread are smoothed sooner than a thread is started.
SAMPLES_PER_THREAD = 1 << 18
# More threads than this wait for memory.
_MOST = 8


def thread_count(size: int, threads: int | None) -> int:
    """Return how many threads to smooth `size` samples with; None leaves it to the machine."""
    most = size // SAMPLES_PER_THREAD
    if threads is None:
        return thread_limit(most)
    return max(1, min(_checked(threads, "threads"), most))


def thread_limit(most: int) -> int:
    """Return how many threads to use for work that pays for so many."""
    if most < 2:
        return 1
    named = os.environ.get("EWMA_NUM_THREADS", "")
    limit = _checked(named, "the environment variable EWMA_NUM_THREADS") if named else _cores()
    return min(limit, most)


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
