"""The fold that runs in this process, as its estimator may see it.

A worker runs one fold at a time, whatever threads that has, so the fold is a
value of the process there. A refit runs in the user's process, where several may
run in threads, so it is a value of the context there.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from pathlib import Path

from ._records import EpochEvent

__all__ = ["RunningFold", "current", "fold_directory", "refit", "run"]


class RunningFold:
    """A fold, or a refit, that may keep files of its own until it is done.

    Parameters
    ----------
    find_directory : callable
        Gives the path of the directory. Called when somebody asks for it first.
    save_epochs : int or None
        Number of epochs after which a Keras fit saves its state.
    watchers : sequence of callable
        Called with an `EpochEvent` after each epoch of a fit. They never raise.
    """

    def __init__(
        self,
        find_directory: Callable[[], Path],
        save_epochs: int | None,
        watchers: Sequence[Callable[[EpochEvent], None]] = (),
    ) -> None:
        self._find_directory = find_directory
        self._directory: Path | None = None
        self._counts: dict[str, int] = {}
        self._lock = threading.Lock()
        self.save_epochs = save_epochs
        self.watchers = tuple(watchers)

    @property
    def directory(self) -> Path:
        """The directory of this fold alone; it exists."""
        if self._directory is None:
            self._directory = self._find_directory()
        # Each time: the fold may have been done, and be running again. The one above
        # it by itself, since the mode is not for parents.
        self._directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self._directory

    def count(self, name: str) -> int:
        """Tell how often this was called with `name` before, in this run."""
        with self._lock:
            number = self._counts.get(name, 0)
            self._counts[name] = number + 1
            return number


_of_process: RunningFold | None = None
_of_context: ContextVar[RunningFold | None] = ContextVar("refit", default=None)


def current() -> RunningFold | None:
    """Return the fold that runs here, if one does."""
    return _of_context.get() or _of_process


@contextlib.contextmanager
def run(fold: RunningFold) -> Iterator[None]:
    """Make `fold` the one that this process runs."""
    global _of_process
    before = _of_process  # of a search around this one
    _of_process = fold
    try:
        yield
    finally:
        _of_process = before


@contextlib.contextmanager
def refit(fold: RunningFold) -> Iterator[None]:
    """Make `fold` the one that this context runs."""
    token = _of_context.set(fold)
    try:
        yield
    finally:
        _of_context.reset(token)


def fold_directory() -> Path | None:
    """Return a directory for files from which a killed fold can go on.

    To be called by an estimator while it is fitted. The directory belongs to one
    fold: one candidate, one split, the same estimator and data. What ``fit`` finds
    there was left by an earlier try of this very fold that did not come to its end,
    because its process was killed. The directory is removed when the fold is
    done. The refit has one, too.

    A file has to be written so that a kill leaves the old one or the new one: under
    another name in the directory first, then renamed with `os.replace`.

    Returns
    -------
    directory : pathlib.Path or None
        An existing directory; None where no resumable search runs this fit, so
        that the estimator works everywhere else as well.

    Examples
    --------
    >>> from resumable_search import fold_directory
    >>> fold_directory() is None  # not in a fold
    True
    """
    fold = current()
    return None if fold is None else fold.directory
