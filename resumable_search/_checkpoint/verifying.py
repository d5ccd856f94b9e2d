"""Finding out whether all of a checkpoint can be read."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from .._exceptions import CheckpointError
from .._records import FoldRecord, FoldState, SearchRecord
from .reader import CheckpointReader

__all__ = ["find_problems"]

# What content that no search has written may raise where it is read.
_UNREADABLE = (
    CheckpointError,
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    IndexError,
    RecursionError,
)

_N_KEYS = 500


def find_problems(path: Path) -> Iterator[str]:
    """Say what is wrong with a checkpoint, a line for each thing. It is not changed.

    Parameters
    ----------
    path : Path
        The file.

    Yields
    ------
    problem : str
        What is wrong, and where.

    Raises
    ------
    CheckpointError
        If there is no such file, it cannot be opened, or it is no checkpoint.
    """
    reader = _VerifyingReader(path)
    try:
        yield from _attempt("the file", reader.broken_pages)
        yield from _attempt("references", reader.broken_references)
        yield from _attempt("searches", reader.unreadable_searches)
        yield from _attempt("folds", reader.unreadable_folds)
        yield from _attempt("random states", reader.unreadable_random_states)
    finally:
        reader.close()


class _VerifyingReader(CheckpointReader):
    """Reads every row as a search, or somebody who looks on, would."""

    def broken_pages(self) -> Iterator[str]:
        """Ask SQLite about pages, indices and constraints."""
        for (text,) in self._rows("PRAGMA integrity_check"):
            if text != "ok":
                yield f"SQLite: {text}"

    def broken_references(self) -> Iterator[str]:
        """Find rows that refer to rows that are not there."""
        for table, _, other, _ in self._rows("PRAGMA foreign_key_check"):
            yield f"a row of {table!r} refers to one of {other!r} that is not there"

    def unreadable_searches(self) -> Iterator[str]:
        """Read the searches, and of each its candidates, splits and details."""
        for search in self.searches():
            label = f"search {search.number}"
            yield from _attempt(label, partial(self._unreadable_in, search, label))

    def _unreadable_in(self, search: SearchRecord, label: str) -> Iterator[str]:
        if not search.key.isalnum():
            yield f"{label}: {search.key!r} is no key"
        if not search.scorers:
            yield f"{label}: it has no scorer"
        if "estimator" not in search.parts:
            yield f"{label}: it has no estimator"
        self.details(search.number)
        splits = self.splits(search.number)
        for candidate in self.candidates(search.number):
            where = f"{label}, candidate {candidate.position}"
            if not 0 <= candidate.position < search.n_candidates:
                yield f"{where}: there are only {search.n_candidates} candidates"
            if candidate.round not in splits:
                yield f"{where}: no split of its round {candidate.round} is there"

    def unreadable_folds(self) -> Iterator[str]:
        """Read all folds, those that no search uses too."""
        keys = [key for (key,) in self._rows("SELECT DISTINCT key FROM folds")]
        for start in range(0, len(keys), _N_KEYS):
            chunk = keys[start : start + _N_KEYS]
            found: dict[str, dict[str, FoldRecord]] = {}
            try:
                found = self.find_all(chunk)
            except _UNREADABLE:
                # One by one, to name those that are to blame.
                for key in chunk:
                    yield from _attempt(f"fold {key}", partial(self._add, key, found))
            for fold in found.values():
                for record in fold.values():
                    yield from _wrong_with(record)

    def _add(self, key: str, found: dict[str, dict[str, FoldRecord]]) -> None:
        found.update(self.find_all([key]))

    def unreadable_random_states(self) -> Iterator[str]:
        """Read the random states."""
        for key, state in self._rows("SELECT key, state FROM random_states"):
            yield from _attempt(f"random state {key}", partial(json.loads, state))

    def _rows(self, statement: str) -> list[Any]:
        with self._translated():
            return self._db.execute(statement).fetchall()


def _attempt(label: str, read: Callable[[], Any]) -> Iterator[str]:
    """Return the problems that `read` gives, and the one that it ends in."""
    try:
        found = read()
        if isinstance(found, Iterator):
            yield from found
    except _UNREADABLE as exc:
        yield f"{label}: {exc if isinstance(exc, CheckpointError) else repr(exc)}"


def _wrong_with(record: FoldRecord) -> Iterator[str]:
    if record.state is FoldState.FAILED and record.error is None:
        yield f"fold {record.key}: it failed, and has no error"
