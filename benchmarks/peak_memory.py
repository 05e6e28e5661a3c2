"""Print the memory that reading a file takes beyond what Python, NumPy and pandas hold (Linux)."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np  # noqa: F401
import pandas as pd  # noqa: F401


def kibibytes(field: str) -> int:
    """Return what Linux counts for this process."""
    found = re.search(rf"^{field}:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.M)
    assert found is not None, field
    return int(found[1])


def main() -> None:
    """Read the file named by the first argument."""
    before = kibibytes("VmRSS")
    import ewma

    scalars = ewma.read_scalars(sys.argv[1])
    peak = kibibytes("VmHWM")
    columns = int(scalars.memory_usage(index=False, deep=True).sum())
    print(json.dumps({"peak": (peak - before) * 1024, "columns": columns}))


if __name__ == "__main__":
    main()
