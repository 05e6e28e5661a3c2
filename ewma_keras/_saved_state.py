"""The state in a file: what Keras saves, and a mark that says whose it is."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any, NoReturn

import numpy as np

# Keras numbers an optimizer's variables and reads them by their numbers alone. This entry beside
# them says how many of them are velocities. To Keras' SGD it is one entry too many: it refuses too.
MARK = "velocities"


def mark(store: MutableMapping[str, Any], velocities: int) -> None:
    """Write the mark."""
    store[MARK] = np.asarray(velocities)


def without_mark(store: Mapping[str, Any], velocities: int, variables: int, name: str) -> Any:
    """Return the numbered variables of a state that has the mark.

    A state of another size is returned as it is: Keras warns of it and leaves it.
    """
    keys = list(store.keys())
    if MARK in keys:
        saved = int(np.asarray(store[MARK]))
        if saved != velocities and len(keys) - 1 == variables:
            raise ValueError(
                f"the saved state must have as many velocities as the optimizer {name!r}, which "
                f"has {velocities}; received {saved}; construct it with the arguments of the "
                "saved one"
            )
    elif velocities and len(keys) == variables:
        refuse_sgd(name)
    return {key: store[key] for key in keys if key != MARK}


def refuse_sgd(name: str) -> NoReturn:
    """Raise the error for the state of Keras' SGD."""
    raise ValueError(
        f"the saved state must be one of MomentumSGD to load into {name!r}; received one of "
        "another optimizer. Keras' SGD keeps its momentum with other sign and scale: load it into "
        "keras.optimizers.SGD and continue with MomentumSGD.from_sgd(sgd), or load the model's "
        "weights alone, model.load_weights(path, skip_mismatch=True)"
    )
