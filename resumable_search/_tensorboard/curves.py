"""The curves of the fits in a fold, as Keras's own TensorBoard callback draws them.

What belongs to validation data is a run of its own with the same tags, so that both
curves are in one picture: ``epoch_loss`` in ``train`` and in ``validation``.
"""

import warnings
from collections.abc import Callable
from pathlib import Path

from .._exceptions import ResumableSearchWarning
from .._records import EpochEvent
from .event_files import EventFile, scalars

__all__ = ["FoldCurves"]

_VALIDATION = "val_"


class FoldCurves:
    """Writes each epoch of a fold's fits to TensorBoard's files.

    Parameters
    ----------
    find_directory : callable
        Gives the path for this fold. Called when there is an epoch.
    """

    def __init__(self, find_directory: Callable[[], Path]) -> None:
        self._find_directory = find_directory
        self._files: dict[tuple[int, str], EventFile] = {}
        self._failed = False

    def __call__(self, event: EpochEvent) -> None:
        """Write an epoch; warn if that is not possible."""
        if self._failed:
            return
        try:
            self._write(event)
        except OSError as exc:
            self._failed = True
            warnings.warn(
                f"The curves of a fold end before epoch {event.epoch}, because "
                f"TensorBoard's files cannot be written: {exc}. The scores are not "
                "affected. Check that the directory of the 'tensorboard' parameter "
                "has space and can be written to.",
                ResumableSearchWarning,
                stacklevel=2,
            )

    def _write(self, event: EpochEvent) -> None:
        parts: dict[str, dict[str, float]] = {"train": {}, "validation": {}}
        for name, value in event.logs.items():
            part = "validation" if name.startswith(_VALIDATION) else "train"
            parts[part][f"epoch_{name.removeprefix(_VALIDATION)}"] = value
        step = event.epoch - 1
        for part, values in parts.items():
            if values:
                self._file(event, part, step).write(scalars(values, step))

    def _file(self, event: EpochEvent, part: str, step: int) -> EventFile:
        file = self._files.get((event.fit, part))
        if file is None:
            directory = self._find_directory()
            if event.fit:
                directory /= f"fit{event.fit + 1}"
            # After the epochs of an earlier try that were restored, or in its place.
            file = EventFile(directory / part, step)
            self._files[event.fit, part] = file
        return file
