"""`ewma-smooth` from its first moment: Ctrl-C ends it quietly while it starts, too.

This stands outside `ewma` as Python imports that, and NumPy with it, before anything in it: most of
what starting takes.
"""

import os
import signal
import sys

_INTERRUPTED = 130  # as shells have it for Ctrl-C


def main() -> None:
    """Run the command."""
    # Not where it is ignored, as behind nohup.
    is_ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_ours:
        # An exception could turn into another one within an extension that is being imported;
        # nothing has been written yet, so that there is nothing to finish.
        signal.signal(signal.SIGINT, lambda *_: os._exit(_INTERRUPTED))
    from ewma.cli import main as command

    try:
        if is_ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        command()
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
