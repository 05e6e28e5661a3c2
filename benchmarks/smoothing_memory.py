"""Print the memory that a call takes at its peak beyond its input and its output (Linux).

Pages of the program itself, which come in when they are first run, are not counted.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np

import ewma
from peak_memory import kibibytes


def main() -> None:
    """Make the call that the first argument names."""
    rng, options = np.random.default_rng(0), sys.argv[1]
    x: Any = rng.standard_normal(10**7)
    if options == "smooth ignore_na":
        x[::10] = np.nan
    if options == "smooth columns":
        x = x.reshape(1000, 10**4)
    if options == "smooth int64":
        x = (1000 * x).astype(np.int64)
    groups = 10**4 if options == "smooth by" else 0
    of_rows = {}
    if options == "smooth by":
        of_rows["by"] = rng.integers(groups, size=10**7)
    if options == "smooth times":
        of_rows["times"] = np.arange(10**7)

    def call(rows: slice) -> Any:
        given: Any = {name: each[rows] for name, each in of_rows.items()}
        if options == "smooth ignore_na":
            given["ignore_na"] = False
        return (ewma.var if options == "var" else ewma.smooth)(x[rows], beta=0.9, **given)

    # What the first of each call alone takes; what is not in one piece goes the way of long series.
    call(slice(0, 200, 2))
    kibibytes("VmRSS")
    # The most so far, from here on.
    with open("/proc/self/clear_refs", "w") as file:  # noqa: PTH123
        file.write("5")
    before, code_before = kibibytes("VmRSS"), kibibytes("RssFile")
    result = call(slice(None))
    peak, code = kibibytes("VmHWM"), kibibytes("RssFile")
    beyond = (peak - before - (code - code_before)) * 1024 - result.nbytes
    columns = 0 if x.ndim == 1 else x.shape[1]
    print(json.dumps({"beyond": beyond, "columns": columns, "groups": groups}))


if __name__ == "__main__":
    main()
