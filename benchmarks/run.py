"""Measure ewma against its targets and its peers: `python benchmarks/run.py`."""

from __future__ import annotations

import argparse
import contextlib
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from table import Row, markdown

_PACKAGES = (
    *("ewma", "numpy", "pandas", "polars", "numbagg", "scipy", "tensorboard", "tbparse"),
    *("keras", "tensorflow-cpu", "jax", "torch"),
)


def _arrays(_: Path) -> Iterator[Row]:
    import arrays

    return arrays.measure()


def _options(_: Path) -> Iterator[Row]:
    import options

    return options.measure()


def _streams(_: Path) -> Iterator[Row]:
    import streams

    return streams.measure()


def _reading(folder: Path) -> Iterator[Row]:
    import reading

    return reading.measure(folder)


def _logs(folder: Path) -> Iterator[Row]:
    import large_logs

    return large_logs.measure(folder)


def _follow(folder: Path) -> Iterator[Row]:
    import following

    return following.measure(folder)


def _processes(folder: Path) -> Iterator[Row]:
    import processes

    return processes.measure(folder)


def _optimizer(folder: Path) -> Iterator[Row]:
    import optimizer

    return optimizer.measure(folder)


GROUPS: dict[str, Callable[[Path], Iterator[Row]]] = {
    "arrays": _arrays,
    "options": _options,
    "streams": _streams,
    "reading": _reading,
    "logs": _logs,
    "follow": _follow,
    "processes": _processes,
    "optimizer": _optimizer,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the groups, print the table; 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=GROUPS, help="run one group of rows only")
    only = parser.parse_args(arguments).only
    rows: list[Row] = []
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        for name in GROUPS if only is None else [only]:
            for row in GROUPS[name](Path(folder) / name):
                rows.append(row)
                print(
                    f"{time.monotonic() - start:4.0f} s  {' '.join(row.cells())}", file=sys.stderr
                )
    print(f"Python {platform.python_version()}, {platform.system()} {platform.machine()},", end=" ")
    print(", ".join(_versions()), end="\n\n")
    print(markdown(rows))
    missed = sum(row.met is False for row in rows)
    print(f"\n{missed} of {sum(row.met is not None for row in rows)} targets missed.")
    return 1 if missed else 0


def _versions() -> Iterator[str]:
    for package in _PACKAGES:
        with contextlib.suppress(PackageNotFoundError):  # one group needs only some of them
            yield f"{package} {version(package)}"


if __name__ == "__main__":
    sys.exit(main())
