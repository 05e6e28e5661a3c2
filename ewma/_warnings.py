"""The package's one warning class."""

import sys
import warnings


class EwmaWarning(UserWarning):
    """Something in the input was bad and was left out; everything good was kept.

    Filter it with ``warnings.filterwarnings("ignore", category=ewma.EwmaWarning)``, or make it an
    error with ``"error"``.
    """


def warn(message: str) -> None:
    """Warn of `message` at the line that called the package, however deep in it this is."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("ewma."):
        frame, level = frame.f_back, level + 1
    warnings.warn(EwmaWarning(message), stacklevel=level)
