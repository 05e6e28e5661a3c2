"""The recurrence and the event-file reader, in C++."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy
import numpy.typing


def smooth(x: object, out: object, outer: int, time: int, inner: int, beta: float, debias: bool, ignore_na: bool, fill: bool, threads: int = 1, isa_limit: int = 2) -> None:
    """
    Smooth x, a C-contiguous float64 or float32 block (outer, time, inner), along time into
    out, which may be x. isa_limit: 0 baseline, 1 AVX2, 2 AVX-512.
    """

def answer(x: object, x_type: str, out: object, out_type: str, outer: int, time: int, inner: int, decays: Sequence[tuple[float, float]], statistic: int, bias: bool, debias: bool, ignore_na: bool, fill: bool, times: object | None = None, whole: bool = False, unit: float = 1.0, weigh: bool = False, groups: object | None = None, group_count: int = 0, pairs: bool = False, threads: int = 1, isa_limit: int = 2) -> None:
    """
    The mean (statistic 0), the variance (1) or its root (2) of x, a C-contiguous block
    (outer, time, inner) of items of a type that NumPy names x_type, along time into out:
    a block each for the decays, pairs of beta and its logarithm a step of times. times and
    groups have 8 bytes a row: whole numbers or float64, and int64. pairs: two columns are a
    complex number.
    """

def backwards(times: object, whole: bool, groups: object | None, group_count: int) -> int:
    """
    The first row whose time is not at or after that of the row before it in its group, or -1.
    """

class EventReader:
    """
    Reads one event file that is pushed in, chunk by chunk. Not for two threads at once.
    """

    def __init__(self, verify: str = 'scalars', wanted: Callable[[bytes], bool] | None = None, expected: int = 0) -> None:
        """
        verify says of which records to compare the data's checksum: 'all', those with 'scalars' that are wanted, 'none'. wanted is asked once a tag. expected is the size of the file, if known.
        """

    def feed(self, chunk: bytes | bytearray | memoryview) -> None:
        """Read every record that is complete with this chunk."""

    def take(self) -> tuple[numpy.typing.NDArray[numpy.int32], numpy.typing.NDArray[numpy.int64], numpy.typing.NDArray[numpy.float64], numpy.typing.NDArray[numpy.float64]]:
        """
        Hand over the points read since the last call: tag (an index into ``tags``), step, wall time and value.
        """

    @property
    def tags(self) -> list[bytes]:
        """The tags that have points, in the order of their first one."""

    @property
    def left_out(self) -> list[bytes]:
        """The tags that have points but are not wanted."""

    def skip(self, count: int) -> None:
        """Take so many bytes for fed that were not, at most ``skippable``."""

    @property
    def skippable(self) -> int:
        """How many of the bytes that come next make no difference."""

    @property
    def sessions(self) -> list[tuple[int, int | None]]:
        """
        Where a training began again, or for the first time with a step: the row of the first point after it, counting all rows read, and the step that a SessionLog START says.
        """

    @property
    def offset(self) -> int:
        """Where the record under way begins."""

    @property
    def needed(self) -> int:
        """Bytes of the record under way known to be missing; 0 between records."""

    @property
    def stopped(self) -> bool:
        """Whether a damaged length has ended the reading."""

    @property
    def settled(self) -> int:
        """
        Where the damage at the end of what was read begins, or else ``offset``.
        """

    def retry(self) -> None:
        """Go back to ``settled``: the bytes from there on are to be fed anew."""

    @property
    def bad_length(self) -> tuple[int, int]:
        """How many lengths had a wrong checksum, and the first one's offset."""

    @property
    def bad_data(self) -> tuple[int, int]:
        """
        How many records' data had a wrong checksum, and the first one's offset.
        """

    @property
    def bad_event(self) -> tuple[int, int]:
        """How many records were no Event, and the first one's offset."""

def crc32c(data: bytes | bytearray | memoryview, portable: bool = False) -> int:
    """
    CRC-32C of the data, by the processor's instruction or by the portable tables.
    """

def forecast_errors(x: object, betas: object, sums: object, isa_limit: int = 2) -> None:
    """
    Sum up (x_t - y_{t-1})^2 for each of betas, a multiple of 16 of them, into sums, in one
    pass over x; all are float64.
    """

class Stream:
    """The recurrence with its state kept between calls."""

    def __init__(self, beta: float, debias: bool, ignore_na: bool, fill: bool, isa_limit: int = 2) -> None: ...

    def update(self, x: Any, times: Any = None) -> Any:
        """
        Take in the next samples, and return what `ewma.smooth` would give for them at the
        end of the whole series.

        Parameters
        ----------
        x : float, list, tuple, ndarray, Series or DataFrame
            A sample, or a chunk of samples along the first axis.
        times : number, date or array of them, optional
            When the samples were taken, with every call or with none.

        Returns
        -------
        float, list, tuple, ndarray, Series or DataFrame
            What x is, smoothed.
        """
