"""The package's one warning class."""


class EwmaWarning(UserWarning):
    """Something in the input was bad and was left out; everything good was kept.

    Filter it with ``warnings.filterwarnings("ignore", category=ewma.EwmaWarning)``, or make it an
    error with ``"error"``.
    """
