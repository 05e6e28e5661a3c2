"""Many event files read side by side, their points joined in the files' own order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from typing import NamedTuple

from ewma._core import EventReader
from ewma._threads import thread_limit, waiting_thread_limit
from ewma.tensorboard._event_file import Verify, read_event_file
from ewma.tensorboard._files import EventFile
from ewma.tensorboard._name_filter import NameFilter
from ewma.tensorboard._problems import Problem
from ewma.tensorboard._remote_file import WEB_CONNECTIONS

# The chunk stays in the processor's cache between the disk and the parser.
CHUNK = 1 << 18
# With less to read for each of them, threads cost more than they save.
_BYTES_PER_THREAD = 1 << 20

# Seconds for all threads together to end in.
_PATIENCE = 1.0


class ReadFile(NamedTuple):
    """What was found in a file."""

    reader: EventReader
    problems: list[Problem]


def read_files(
    files: list[EventFile],
    wanted_tag: NameFilter,
    verify: Verify,
    advance: Callable[[int], None],
) -> Generator[ReadFile]:
    """Yield what is in each file, in the order given, however many are read at a time.

    `advance` is told the bytes of each chunk, by one thread at a time.
    """
    size = sum(file.size for file in files if file.remote is None)
    waiting = [file.remote for file in files if file.remote is not None and not file.remote.lock]
    most = WEB_CONNECTIONS if any(path.is_on_the_web for path in waiting) else len(waiting)
    waiting_threads = waiting_thread_limit(min(most, len(waiting)))
    threads = max(thread_limit(size // _BYTES_PER_THREAD), waiting_threads)
    threads = min(len(files), threads)
    if threads <= 1:
        yield from _in_turn(files, wanted_tag, verify, advance)
    else:
        yield from _side_by_side(files, threads, wanted_tag, verify, advance)


def _in_turn(
    files: list[EventFile],
    wanted_tag: NameFilter,
    verify: Verify,
    advance: Callable[[int], None],
) -> Generator[ReadFile]:
    buffer = memoryview(bytearray(CHUNK))
    for file in files:
        yield _read(file, buffer, wanted_tag, verify, advance)


class _StoppedError(Exception):
    """Nobody waits for the rest."""


def _side_by_side(
    files: list[EventFile],
    threads: int,
    wanted_tag: NameFilter,
    verify: Verify,
    advance: Callable[[int], None],
) -> Generator[ReadFile]:
    import threading
    from concurrent.futures import Future
    from queue import SimpleQueue

    lock = threading.Lock()
    stop = threading.Event()
    todo: SimpleQueue[tuple[EventFile, Future[ReadFile]] | None] = SimpleQueue()

    def tell(count: int) -> None:
        if stop.is_set():
            raise _StoppedError
        with lock:
            advance(count)

    def work() -> None:
        buffer = memoryview(bytearray(CHUNK))
        while (task := todo.get()) is not None and not stop.is_set():
            file, future = task
            try:
                future.set_result(_read(file, buffer, wanted_tag, verify, tell))
            except BaseException as error:
                future.set_exception(error)
            del task, file, future  # what was read is not kept for as long as it takes to wait

    workers: list[threading.Thread] = []
    # A few files ahead and no more: what was read waits in memory for those before it.
    ahead: deque[Future[ReadFile]] = deque()
    try:
        for _ in range(threads):
            worker = threading.Thread(target=work, daemon=True)
            try:
                worker.start()
            except RuntimeError:  # the system has no more of them
                break
            workers.append(worker)
        if not workers:
            yield from _in_turn(files, wanted_tag, verify, advance)
            return
        for file in files:
            ahead.append(Future())
            todo.put((file, ahead[-1]))
            if len(ahead) > 2 * threads:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        stop.set()
        # One that waits for a server that is silent is left behind; nobody may wait for it.
        patience = None if all(file.remote is None for file in files) else _PATIENCE / threads
        for _ in workers:
            todo.put(None)
        for worker in workers:
            worker.join(patience)


def _read(
    file: EventFile,
    buffer: memoryview,
    wanted_tag: NameFilter,
    verify: Verify,
    advance: Callable[[int], None],
) -> ReadFile:
    wanted = (lambda tag: wanted_tag(tag_name(tag))) if wanted_tag else None
    reader = EventReader(verify, wanted, file.size)
    problems: list[Problem] = []
    done = 0

    def count_up(count: int) -> None:
        nonlocal done
        done += count
        advance(count)

    read_event_file(file, reader, buffer, problems.append, count_up)
    if done < file.size:
        advance(file.size - done)  # what damage made it leave out
    return ReadFile(reader, problems)


def tag_name(tag: bytes) -> str:
    """Return a tag as text, whatever bytes it has."""
    return tag.decode("utf-8", "backslashreplace")
