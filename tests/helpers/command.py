"""`ewma-smooth` called here, in a process of its own, and on a terminal."""

import io
import os
import re
import select
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from typing import NamedTuple

from ewma.cli import main

MAIN = "from ewma.cli import main; main(prog_name='ewma-smooth')"


class Result(NamedTuple):
    """How it ended and what it wrote."""

    code: int
    out: str
    err: str


class Stream(io.TextIOWrapper):
    """A standard stream that keeps what is written and says whether it is a terminal."""

    def __init__(self, terminal=False):
        super().__init__(io.BytesIO(), "utf-8", newline="")
        self.terminal = terminal

    def isatty(self):
        return self.terminal

    def text(self):
        self.flush()
        return self.buffer.getvalue().decode()


def call(*arguments, terminal=False):
    """Run it in this process, with the standard streams as pipes or as a terminal."""
    out, err = Stream(terminal), Stream(terminal)
    with redirect_stdout(out), redirect_stderr(err):
        try:
            main([os.fspath(argument) for argument in arguments], prog_name="ewma-smooth")
        except SystemExit as end:
            return Result(end.code or 0, out.text(), err.text())
    raise AssertionError("it did not exit")


def python(program, *arguments):
    """Return the command that runs a program of Python's with arguments."""
    # -P: the source folder in the working directory has no compiled part.
    return [sys.executable, "-P", "-c", program, *map(os.fspath, arguments)]


def surroundings(**environment):
    """Return the environment without what would change the streams, and with some more."""
    streams = ("COLUMNS", "LINES", "PYTHONUNBUFFERED", "PYTHONIOENCODING", "NO_COLOR")
    return {k: v for k, v in os.environ.items() if k not in streams} | environment


def run(*arguments, program=MAIN, **options):
    """Run it in a process of its own, its standard streams as pipes unless given."""
    options = {
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "env": surroundings(),
        **options,
    }
    ended = subprocess.run(python(program, *arguments), **options)
    return Result(ended.returncode, (ended.stdout or b"").decode(), (ended.stderr or b"").decode())


def run_on_terminal(*arguments, columns, program=MAIN, streams=("stdout",), **environment):
    """Run it with some streams on a terminal so wide; `out` is what that terminal gets."""
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(
        python(program, *arguments),
        **(pipes | dict.fromkeys(streams, theirs)),
        env=surroundings(TERM="xterm-256color", PYTHONUTF8="1") | environment,
    )
    os.close(theirs)
    shown = b""
    while chunk := _read(ours):
        shown += chunk
    os.close(ours)
    piped = b"".join(pipe for pipe in process.communicate() if pipe)
    return Result(process.returncode, shown.decode().replace("\r\n", "\n"), piped.decode())


def _read(terminal):
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # Linux's way to say that nobody holds the other end any more
        return b""


class Terminal:
    """It in a process of its own on a terminal of a size, read from and resized as it runs."""

    def __init__(self, *arguments, columns=80, lines=24, streams=("stdout",), **environment):
        import pty

        self._ours, theirs = pty.openpty()
        self.resize(columns, lines)
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.process = subprocess.Popen(
            python(MAIN, *arguments),
            **(pipes | dict.fromkeys(streams, theirs)),
            env=surroundings(TERM="xterm-256color", PYTHONUTF8="1") | environment,
        )
        os.close(theirs)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
        os.close(self._ours)

    def resize(self, columns, lines):
        import fcntl
        import struct
        import termios

        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def until(self, text):
        """Return what is shown from now on, as far as `text`."""
        new = b""
        while text not in without_styles(new.decode(errors="replace")):
            ready, _, _ = select.select([self._ours], [], [], 20)
            chunk = _read(self._ours) if ready else b""
            assert chunk, f"{text!r} is not shown, but {new!r}"
            new += chunk
        return without_styles(new.decode(errors="replace")).replace("\r\n", "\n")

    def end(self, signal):
        """Send a signal; return how it ended and what it still showed."""
        self.process.send_signal(signal)
        rest = b""
        while chunk := _read(self._ours):
            rest += chunk
        error = self.process.communicate()[1]
        return Result(self.process.returncode, rest.decode(), (error or b"").decode())


def without_styles(text):
    return re.sub(r"\x1b\[[0-9;]*m", "", text)
