"""Print the memory that a call takes at its peak beyond its input and its output (Linux).

Pages of the program itself, which come in when they are first run, are not counted.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from typing import Any

import numpy as np

import ewma
from peak_memory import kibibytes


def main() -> None:
    """Make the call that the first argument names."""
    x: Any = np.random.default_rng(0).standard_normal(10**7)
    call: Any = {
        "smooth": partial(ewma.smooth, beta=0.9),
        "smooth columns": partial(ewma.smooth, beta=0.9, axis=0),
        "smooth ignore_na": partial(ewma.smooth, beta=0.9, ignore_na=False),
        "var": partial(ewma.var, beta=0.9),
        "smooth times": partial(ewma.smooth, beta=0.9, times=np.arange(10**7)),
        "smooth int64": partial(ewma.smooth, beta=0.9),
    }[sys.argv[1]]
    if sys.argv[1] == "smooth ignore_na":
        x[::10] = np.nan
    if sys.argv[1] == "smooth columns":
        x = x.reshape(1000, 10**4)
    if sys.argv[1] == "smooth int64":
        x = (1000 * x).astype(np.int64)
    few = (slice(100),) * x.ndim
    call(x[few] if "times" not in sys.argv[1] else x)  # what the first call alone takes
    # The most so far, from here on.
    with open("/proc/self/clear_refs", "w") as file:  # noqa: PTH123
        file.write("5")
    before, code_before = kibibytes("VmRSS"), kibibytes("RssFile")
    result = call(x)
    peak, code = kibibytes("VmHWM"), kibibytes("RssFile")
    beyond = (peak - before - (code - code_before)) * 1024 - result.nbytes
    columns = 0 if x.ndim == 1 else x.shape[1]
    print(json.dumps({"beyond": beyond, "columns": columns}))


if __name__ == "__main__":
    main()
