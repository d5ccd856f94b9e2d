"""What a worker does with the epochs of the fits in its folds.

The parent gets some of them, to show how far a fold is; TensorBoard's files, where
they are wanted, get all.
"""

import time
from collections.abc import Callable
from pathlib import Path

from .._records import EpochEvent
from .messages import EpochEnded

__all__ = ["watchers"]

#: Seconds between two reports to the parent, at least.
SHORTEST_PAUSE = 0.1


def watchers(
    offer: Callable[[EpochEnded], None], task_id: int, curves: str | None
) -> list[Callable[[EpochEvent], None]]:
    """Return what is to be called after each epoch of a fold.

    Parameters
    ----------
    offer : callable
        Sends a message, or drops it where the parent is behind.
    task_id : int
        The fold's.
    curves : str or None
        Directory for TensorBoard's files.
    """
    found: list[Callable[[EpochEvent], None]] = [_reporter(offer, task_id)]
    if curves is not None:
        # Imports tensorboard, an optional dependency.
        from .._tensorboard.curves import FoldCurves

        found.append(FoldCurves(lambda: Path(curves)))
    return found


def _reporter(
    offer: Callable[[EpochEnded], None], task_id: int
) -> Callable[[EpochEvent], None]:
    last = -SHORTEST_PAUSE

    def report(event: EpochEvent) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= SHORTEST_PAUSE:
            last = now
            offer(EpochEnded(task_id, event))

    return report
