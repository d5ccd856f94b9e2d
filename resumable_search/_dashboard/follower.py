"""Following a search in a checkpoint that others write."""

import time
from dataclasses import dataclass
from pathlib import Path

from .._checkpoint.locks import LockHolder, find_holder
from .._checkpoint.reader import CheckpointReader
from .._checkpoint.status_files import read_status
from .._exceptions import CheckpointError
from .._keys.fingerprint import fold_key
from .._records import CandidateRecord, FoldRecord, LiveStatus, SearchRecord
from .._results import SearchView, choose_search

__all__ = ["Follower", "Snapshot"]

# Seconds. What was finished may have been taken out of the file meanwhile.
_ALL_AGAIN_AFTER = 60.0

_Stamp = tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """A search as it was found last."""

    view: SearchView | None
    status: LiveStatus | None
    """None: nobody runs it, or nobody says how."""
    holder: LockHolder | None
    """Who runs it without saying how, or was killed while running it."""
    problem: str | None
    """Why there is no view, for people."""
    life: int
    """Changes with the search and with the file."""


class Follower:
    """Reads what is new in a search. Not for several threads at once.

    A fold that was finished is not read again, but for once in a minute. Nothing is
    read while the file stays as it is.

    Parameters
    ----------
    path : pathlib.Path
        The checkpoint. It may be replaced, and may go away and come back.
    number : int or None
        Number of the search. None: the one that was started last, also when another
        one is started.
    """

    def __init__(self, path: Path, number: int | None) -> None:
        self.path = path
        self._number = number
        self._stamp: _Stamp = ()
        self._read_all_at = 0.0
        self._life = 0
        self._file = 0
        self._folds = _KnownFolds()
        self._view: SearchView | None = None
        self._problem: str | None = None

    def look(self) -> Snapshot:
        """Return the search as it is now."""
        # Before the folds: a search that nobody runs has stored all that it will.
        seen = self._key()
        status, holder = self._who(seen)
        stamp = _stamp(self.path)
        is_old = time.monotonic() - self._read_all_at > _ALL_AGAIN_AFTER
        if stamp != self._stamp or (is_old and self._view is not None):
            try:
                self._read(stamp, all_again=is_old)
                self._stamp, self._problem = stamp, None
            except CheckpointError as exc:
                self._view, self._problem = None, str(exc)
                self._stamp = ()  # look again, whatever the file looks like
        if seen != self._key():
            status, holder = self._who(self._key())
        return Snapshot(
            view=self._view,
            status=status,
            holder=holder,
            problem=self._problem,
            life=self._life,
        )

    def _key(self) -> str | None:
        return None if self._view is None else self._view.search.key

    def _who(self, key: str | None) -> tuple[LiveStatus | None, LockHolder | None]:
        if key is None:
            return None, None
        # The lock is not tried while a status tells as much.
        status = read_status(self.path, key)
        return status, None if status else find_holder(self.path, key)

    def _read(self, stamp: _Stamp, *, all_again: bool) -> None:
        reader = CheckpointReader(self.path)
        try:
            search = choose_search(reader.searches(), self._number, self.path)
            file = stamp[0][0] if stamp[0] is not None else 0
            last = self._folds.search
            # A file in the place of another may have its inode.
            if file != self._file or last is None or _name(last) != _name(search):
                self._life += 1
                all_again = True
            if all_again:
                self._folds = _KnownFolds()
                self._read_all_at = time.monotonic()
            self._file = file
            self._view = self._folds.read(reader, search)
        finally:
            reader.close()


class _KnownFolds:
    """What was read of a search."""

    def __init__(self) -> None:
        self.search: SearchRecord | None = None
        self._candidates: list[CandidateRecord] = []
        self._keys: list[list[str | None]] = []
        self._done: dict[str, dict[str, FoldRecord]] = {}

    def read(self, reader: CheckpointReader, search: SearchRecord) -> SearchView:
        """Read what is not known to be finished."""
        last, self.search = self.search, search
        is_same = last is not None and (last.started, last.n_candidates) == (
            search.started,
            search.n_candidates,
        )
        # Candidates are written down as they come up.
        if not is_same or len(self._candidates) < search.n_candidates:
            self._candidates = reader.candidates(search.number)
            splits = reader.splits(search.number)
            places = range(search.n_splits)
            self._keys = [
                [
                    fold_key(search.family, c.key, split) if split else None
                    for split in map(splits.get(c.round, {}).get, places)
                ]
                for c in self._candidates
            ]
        wanted = {k for keys in self._keys for k in keys if k and k not in self._done}
        scorers = set(search.scorers.values())
        found = {
            key: {s: r for s, r in records.items() if s in scorers}
            for key, records in reader.find_all(wanted).items()
        }
        view = SearchView(
            search=search,
            candidates=self._candidates,
            folds=[
                [
                    (self._done.get(k) or found.get(k) or None) if k else None
                    for k in keys
                ]
                for keys in self._keys
            ],
        )
        self._done.update({k: fold for k, fold in found.items() if view.is_done(fold)})
        return view


def _name(search: SearchRecord) -> tuple[int, str, float]:
    return search.number, search.key, search.created


def _stamp(path: Path) -> _Stamp:
    """Return what changes when something is written to a checkpoint."""
    stamps: list[tuple[int, int, int] | None] = []
    for file in (path, path.with_name(f"{path.name}-wal")):
        try:
            status = file.stat()
        except OSError:
            stamps.append(None)
        else:
            # An empty log says no more than none, and reading may leave one.
            is_empty = file is not path and not status.st_size
            stamp = (status.st_ino, status.st_size, status.st_mtime_ns)
            stamps.append(None if is_empty else stamp)
    return tuple(stamps)
