"""Taking searches out of a checkpoint, with the folds that only they use."""

import contextlib
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .._exceptions import CheckpointError
from .._keys.digests import fold_key, refit_key
from .._records import SearchRecord
from .errors import damaged, require_file
from .fold_folders import FoldFolders
from .locks import SearchLock
from .reader import CheckpointReader
from .store import CheckpointStore

__all__ = ["CheckpointPruner", "Pruning", "plan_pruning"]

# A row of the table of folds: key of the fold, key of the scorer.
_Row = tuple[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Pruning:
    """What goes when searches are taken out, or went."""

    searches: tuple[SearchRecord, ...]
    n_candidates: int
    n_folds: int
    """Finished and failed ones that no other search uses."""
    n_shared: int
    """Folds that stay, because another search in the file uses them."""
    folders: tuple[Path, ...]
    """Directories with files of unfinished folds and refits."""


def plan_pruning(reader: CheckpointReader, searches: Sequence[SearchRecord]) -> Pruning:
    """Tell what taking these searches out would remove. Nothing is changed."""
    return _plan(reader, searches)[0]


class CheckpointPruner(CheckpointStore):
    """A checkpoint from which searches are taken out.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    CheckpointError
        If there is no such file, or it cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        require_file(path)  # a store would make it
        super().__init__(path)

    def prune(self, searches: Sequence[SearchRecord]) -> Pruning:
        """Take searches out, all or none of them.

        Random states stay: the same search, fitted again, draws the same.

        Raises
        ------
        CheckpointLockedError
            If one of them is running. Nothing is removed then.
        """
        with self._locked(searches), self._transaction():
            pruning, rows = _plan(self, searches)
            texts = self._texts_of(rows)
            self._db.executemany(
                "DELETE FROM folds WHERE key = ? AND scorer = ?", sorted(rows)
            )
            # Candidates and splits go with it.
            self._db.executemany(
                "DELETE FROM searches WHERE id = ?",
                [(search.number,) for search in searches],
            )
            for table, column in (("errors", "error"), ("environments", "environment")):
                self._db.executemany(
                    f"DELETE FROM {table} WHERE id = ? "  # noqa: S608 - our own names
                    f"AND NOT EXISTS (SELECT 1 FROM folds WHERE {column} = {table}.id)",
                    [(number,) for number in texts[column]],
                )
            # While nobody else can note that they use them.
            for folder in pruning.folders:
                shutil.rmtree(folder, ignore_errors=True)
        FoldFolders(self.path).close()
        return pruning

    def compact(self) -> None:
        """Return what is free in the file back to the disk."""
        with self._translated():
            # SQLite attaches the file that it copies to, which is not allowed else.
            before = self._db.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 1)
            try:
                self._db.execute("VACUUM")
            finally:
                self._db.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, before)
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    @contextlib.contextmanager
    def _locked(self, searches: Sequence[SearchRecord]) -> Iterator[None]:
        with contextlib.ExitStack() as locks:
            for search in searches:
                if not search.key.isalnum():  # it would lock a file somewhere else
                    raise damaged(self.path, f"search {search.number} has no key")
                lock = SearchLock(self.path, search.key)
                lock.acquire()
                locks.callback(lock.release)
            yield

    def _texts_of(self, rows: Iterable[_Row]) -> dict[str, set[int]]:
        """Return the numbers of the errors and environments that folds refer to."""
        found: dict[str, set[int]] = {"error": set(), "environment": set()}
        for row in rows:
            numbers = self._db.execute(
                "SELECT error, environment FROM folds WHERE key = ? AND scorer = ?", row
            ).fetchone()
            for column, number in zip(found, numbers, strict=True):
                if number is not None:
                    found[column].add(number)
        return found


def _plan(
    reader: CheckpointReader, searches: Sequence[SearchRecord]
) -> tuple[Pruning, set[_Row]]:
    numbers = {search.number for search in searches}
    known = reader.searches()
    gone = numbers - {search.number for search in known}
    if gone:
        raise CheckpointError(
            f"The checkpoint {reader.path} no longer has the search with the number "
            f"{min(gone)}: another process has taken it out."
        )
    ours, our_folders = _used_by(reader, searches)
    theirs, their_folders = _used_by(
        reader, [search for search in known if search.number not in numbers]
    )
    found = reader.find_all({key for key, _ in ours})
    rows = {row for row in ours if row[1] in found.get(row[0], {})}
    kept = rows & theirs
    of = FoldFolders(reader.path).of
    folders = [of(key) for key in sorted(our_folders - their_folders)]
    pruning = Pruning(
        searches=tuple(searches),
        n_candidates=sum(len(reader.candidates(number)) for number in numbers),
        n_folds=len({key for key, _ in rows - kept}),
        n_shared=len({key for key, _ in kept}),
        folders=tuple(folder for folder in folders if folder.is_dir()),
    )
    return pruning, rows - kept


def _used_by(
    reader: CheckpointReader, searches: Iterable[SearchRecord]
) -> tuple[set[_Row], set[str]]:
    """Return the rows that searches use, and the keys of their folders."""
    rows: set[_Row] = set()
    folders: set[str] = set()
    for search in searches:
        splits = reader.splits(search.number)
        for candidate in reader.candidates(search.number):
            folders.add(refit_key(search.family, candidate.key))
            for split in splits.get(candidate.round, {}).values():
                key = fold_key(search.family, candidate.key, split)
                folders.add(key)
                rows.update((key, scorer) for scorer in search.scorers.values())
    return rows, folders
