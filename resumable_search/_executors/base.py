"""What the search asks of whatever runs its folds."""

from collections.abc import Iterable
from typing import Any, Protocol

from .._records import FoldOutcome, FoldTask, RunningTask

__all__ = ["FoldExecutor"]


class FoldExecutor(Protocol):
    """Runs folds. All methods are called from one thread."""

    @property
    def n_unfinished(self) -> int:
        """Number of tasks whose outcome `wait` has not returned."""

    def submit(self, task: FoldTask) -> None:
        """Queue a task."""

    def feed(self) -> None:
        """Begin with queued tasks, without waiting for anything."""

    def wait(
        self, timeout: float | None = None, wake: Iterable[Any] = ()
    ) -> list[FoldOutcome]:
        """Return the outcomes that are there; wait for the first.

        Parameters
        ----------
        timeout : float or None
            Seconds after which to return without one.
        wake : iterable of file descriptors
            To return as well when one of them can be read.
        """

    def running(self) -> list[RunningTask]:
        """Return what each worker does at this moment."""

    def cancel_queued(self) -> None:
        """Start no further task; each that has not begun has a cancelled outcome."""

    def close(self, *, now: bool) -> None:
        """Let go of workers and tasks; `now`: also of what runs."""
