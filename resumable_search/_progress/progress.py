"""How far a search is, for those who watch: the person and other processes."""

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from .._records import LiveStatus, LiveWorker
from .._sklearn_compat.calls import FoldCall
from .lines import Lines
from .tally import Tally

__all__ = ["Progress"]

# Seconds between two statuses for other processes. A search that is over before the
# first one is nobody's to watch.
_STATUS_PAUSE = 1.0


class _Display(Protocol):
    """Where the person watches."""

    pause: float
    """Seconds between two calls of `show`."""

    def show(self, status: LiveStatus) -> None:
        """Show how far the search is."""

    def close(self, status: LiveStatus) -> None:
        """Leave what is to be read afterwards."""


class Progress:
    """Counts folds, and shows how far the search is.

    Parameters
    ----------
    verbose : int
        0: nothing is shown.
    n_workers : int
        Number of folds that run at a time.
    metric : str
        Name of the scorer by which candidates are compared.
    tell : callable, default=None
        Called with a `LiveStatus` once a second at most, whatever `verbose` is.
    """

    def __init__(
        self,
        verbose: int,
        n_workers: int,
        metric: str,
        tell: Callable[[LiveStatus], None] | None = None,
    ) -> None:
        self._tally = Tally(n_workers, metric)
        self._tell = tell
        self._display: _Display | None = _open_display() if verbose else None
        self._pause = _STATUS_PAUSE
        if self._display is not None:
            self._pause = min(self._pause, self._display.pause)
        now = time.monotonic()
        self._next_show = now + self._pause
        self._next_status = now + _STATUS_PAUSE

    @property
    def pause(self) -> float:
        """Seconds after which there should be something new to see."""
        return self._pause

    @property
    def is_due(self) -> bool:
        """Whether it is time to show something."""
        return time.monotonic() >= self._next_show

    def expect(self, n_folds: int) -> None:
        """Set the number of folds in this round, and of splits."""
        self._tally.expect(n_folds)

    def end_round(self) -> None:
        """Let the folds that are expected next come on top."""
        self._tally.end_round()

    def count(
        self, call: FoldCall, result: dict[str, Any] | None, *, resumed: bool
    ) -> None:
        """Count a fold that is finished; `result` is None if it failed."""
        self._tally.count(call, result, resumed=resumed)

    def show(self, workers: Sequence[LiveWorker] = ()) -> None:
        """Show how far the search is, with the folds that run now."""
        status = self._tally.status(workers)
        if self._display is not None:
            try:
                self._display.show(status)
            # Nobody reads any more, or it is no whole stream; the search goes on.
            except (OSError, ValueError, AttributeError):
                self.close()
        if self._tell is not None and time.monotonic() >= self._next_status:
            self._tell(status)
            self._next_status = time.monotonic() + _STATUS_PAUSE
        self._next_show = time.monotonic() + self._pause

    def close(self) -> None:
        """Leave the last state to be read, once."""
        display, self._display = self._display, None
        if display is not None:
            with contextlib.suppress(OSError, ValueError, AttributeError):  # likewise
                display.close(self._tally.status(()))


def _open_display() -> _Display:
    # rich is imported only where somebody watches: each worker would import it too.
    from .notebook import NotebookDisplay
    from .terminal import TerminalDisplay

    return NotebookDisplay.open() or TerminalDisplay.open() or Lines()
