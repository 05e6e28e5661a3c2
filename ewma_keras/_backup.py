"""The state of `SmoothedMetrics` in the folder of `BackupAndRestore`."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from ewma import EwmaWarning
from ewma_keras._callback_order import smoother_type

State = dict[str, tuple[int, float]]


class StateFile:
    """A line of JSON an epoch: how many are complete, and the state then.

    Keras goes back to the start of the epoch of its last backup, which is not always the last epoch
    seen here: it may be killed between the two writings, and with ``save_freq=1000`` it saves
    seldom. So every epoch's state is there until the training ends, when Keras removes the folder.

    Parameters
    ----------
    path
        The file; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def in_backup(cls, smoother: Any, callbacks: Sequence[Any]) -> StateFile | None:
        """Return the file for a callback, or None if there is no backup among the callbacks."""
        backups = [c for c in callbacks if isinstance(c, keras.callbacks.BackupAndRestore)]
        if not backups:
            return None
        folder = str(backups[0].backup_dir)
        if "://" in folder:
            warnings.warn(
                f"the state of SmoothedMetrics is backed up in local folders only; received "
                f"BackupAndRestore({folder!r}): a resumed training will smooth afresh",
                EwmaWarning,
                stacklevel=3,
            )
            return None
        number = [c for c in callbacks if isinstance(c, smoother_type())].index(smoother)
        return cls(Path(folder) / f"smoothed_metrics_{number}.jsonl")

    def take_up(self, epoch: int) -> State | None:
        """Return the state after so many epochs, if it is there, and forget all later ones."""
        lines = self.path.read_text().splitlines(keepends=True) if self.path.exists() else []
        states: dict[int, State] = {}
        kept = []
        for line in lines:
            if not line.endswith("\n"):  # killed while it was written
                continue
            record = json.loads(line)
            if record["epochs"] <= epoch:
                kept.append(line)
                states[record["epochs"]] = {k: (t, y) for k, (t, y) in record["state"].items()}
        if lines:
            rewritten = self.path.with_suffix(".new")
            rewritten.write_text("".join(kept))
            rewritten.replace(self.path)
        return states.get(epoch)

    def append(self, epochs: int, state: State) -> None:
        """Write the state after so many epochs."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.write(json.dumps({"epochs": epochs, "state": state}) + "\n")
