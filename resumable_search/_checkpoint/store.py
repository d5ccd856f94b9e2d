"""The checkpoint: what a store promises, and the one on SQLite.

The promise:

- what `save` was given is on the disk when `save` returns, all of it or nothing;
- a fold that is done is never changed, unless the user asks for that: then all of it
  is replaced in one step; or if it warned, and was done again under filters that make
  other warnings errors;
- only the process that runs a search writes its folds, from one thread; several
  processes may use one file for different searches, and read it at any time;
- opening a file and reading it runs no code: there is no pickle in it.
"""

import contextlib
import json
import os
import sqlite3
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from .._exceptions import CheckpointRestoredWarning
from .._records import CandidateRecord, FoldRecord, FoldState, SearchRecord
from .errors import (
    BUSY_SECONDS,
    create_private,
    log_restored,
    not_restored,
    require_writable,
    restored,
    taken,
)
from .reader import CheckpointReader
from .removal import OpenFiles, Place, abandon, copied, put, rescue
from .schema import closed_on_failure, prepare, transaction
from .strangers import check_journal

__all__ = ["CheckpointStore"]

_SAVE_FOLD = """
INSERT INTO folds VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (key, scorer) DO UPDATE SET
    state = excluded.state, test_score = excluded.test_score,
    train_score = excluded.train_score, n_test_samples = excluded.n_test_samples,
    fit_time = excluded.fit_time, score_time = excluded.score_time,
    attempts = excluded.attempts + iif(folds.state = 'done', 0, folds.attempts),
    finished = excluded.finished,
    started = excluded.started, worker = excluded.worker, device = excluded.device,
    environment = excluded.environment, error = excluded.error,
    warned = excluded.warned, error_filters = excluded.error_filters
WHERE folds.state != 'done'
    OR (excluded.state = 'done' AND folds.warned
        AND folds.error_filters != excluded.error_filters)
"""

# What is finished stays, but train scores can join it.
_ADD_TRAIN_SCORE = """
UPDATE folds SET train_score = ?, warned = max(warned, ?)
WHERE key = ? AND scorer = ? AND state = 'done' AND train_score IS NULL
"""


class CheckpointStore(CheckpointReader):
    """Folds, searches and random states in an SQLite file.

    Parameters
    ----------
    path : Path
        The file. Made if it is not there; its directory must be.

    Raises
    ------
    CheckpointFormatError
        If the file is something else, is damaged, or has a newer format. It is
        not touched then.
    CheckpointWriteError
        If it cannot be made or written.
    """

    def __init__(self, path: Path) -> None:
        self._begin(path)
        self._environments: dict[str, int] = {}
        # It is closed, or another file is in its place and it must not be.
        self._is_over = False
        require_writable(path)
        check_journal(path)
        create_private(path)
        self._open()

    def _open(self) -> None:
        with self._translated():
            self._db = sqlite3.connect(
                self.path,
                timeout=BUSY_SECONDS,
                isolation_level=None,
                cached_statements=16,
            )
            with closed_on_failure(self._db):
                prepare(self._db, self.path)
                self._files = OpenFiles(self.path)

    # ------------------------------------------------------------------
    # Folds

    def save(self, records: Sequence[FoldRecord], *, replace: bool = False) -> None:
        """Store folds, all or none; they are on the disk when this returns.

        Parameters
        ----------
        records : sequence of FoldRecord
            One for each fold and scorer.
        replace : bool
            Whether to remove all that is there of these folds, finished or not, of
            every scorer, in the same step. Only for users who ask for it.
        """
        now = time.time()
        with self._transaction():
            if replace:
                self._db.executemany(
                    "DELETE FROM folds WHERE key = ?",
                    {(record.key,) for record in records},
                )
            rows = [
                (
                    record.key,
                    record.scorer,
                    record.state.value,
                    _json(record.test_score),
                    _json(record.train_score),
                    record.n_test_samples,
                    record.fit_time,
                    record.score_time,
                    record.attempts,
                    now,
                    record.started,
                    record.worker,
                    record.device,
                    self._environment(record.versions),
                    self._error(record.error),
                    record.warned,
                    record.error_filters,
                )
                for record in records
            ]
            self._db.executemany(_SAVE_FOLD, rows)
            self._db.executemany(
                _ADD_TRAIN_SCORE,
                [
                    (
                        _json(record.train_score),
                        record.warned,
                        record.key,
                        record.scorer,
                    )
                    for record in records
                    if record.train_score is not None and record.state is FoldState.DONE
                ],
            )

    # ------------------------------------------------------------------
    # Searches

    def register(self, search: SearchRecord) -> int:
        """Note that a search starts; give its number in this file."""
        now = time.time()
        with self._transaction():
            (number,) = self._db.execute(
                "INSERT INTO searches (key, family, kind, run, n_splits, n_candidates, "
                "scorers, metric, parts, created, started, key_rules, is_told) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0) "
                "ON CONFLICT (key) DO UPDATE SET run = excluded.run, "
                "n_candidates = excluded.n_candidates, scorers = excluded.scorers, "
                "metric = excluded.metric, parts = excluded.parts, "
                "started = excluded.started RETURNING id",
                (
                    search.key,
                    search.family,
                    search.kind,
                    search.run,
                    search.n_splits,
                    search.n_candidates,
                    json.dumps(search.scorers),
                    search.metric,
                    json.dumps(search.parts),
                    now,
                    now,
                    search.key_rules,
                ),
            ).fetchone()
            self._replace_details(int(number), search)
        return int(number)

    def _replace_details(self, number: int, search: SearchRecord) -> None:
        self._db.execute("DELETE FROM details WHERE search = ?", (number,))
        self._db.executemany(
            "INSERT INTO details VALUES (?, ?, ?, ?, ?)",
            (
                (number, part, path, key, words)
                for part, rows in search.details.items()
                for path, (key, words) in rows.items()
            ),
        )

    def tell_of(self, searches: Iterable[SearchRecord]) -> set[int]:
        """Note that a warning tells of searches; return those it did not tell of."""
        with self._transaction():
            return {
                search.number
                for search in searches
                if self._db.execute(
                    "UPDATE searches SET is_told = 1 WHERE id = ? AND is_told = 0",
                    (search.number,),
                ).rowcount
            }

    def describe(
        self,
        search: int,
        candidates: Iterable[CandidateRecord],
        splits: Iterable[tuple[int, int, str]],
        n_candidates: int,
    ) -> None:
        """Note candidates, splits (round, position, key), how many there will be."""
        with self._transaction():
            self._db.executemany(
                "INSERT OR REPLACE INTO candidates VALUES (?, ?, ?, ?, ?)",
                (
                    (search, c.position, c.round, c.key, json.dumps(c.parameters))
                    for c in candidates
                ),
            )
            self._db.executemany(
                "INSERT OR REPLACE INTO splits VALUES (?, ?, ?, ?)",
                ((search, *split) for split in splits),
            )
            self._db.execute(
                "UPDATE searches SET n_candidates = ? WHERE id = ?",
                (n_candidates, search),
            )

    # ------------------------------------------------------------------
    # Random states

    def save_random_state(
        self, key: str, state: object, *, replace: bool = False
    ) -> None:
        """Store a random state under `key`, unless there is one to keep."""
        verb = "REPLACE" if replace else "IGNORE"
        with self._transaction():
            self._db.execute(
                f"INSERT OR {verb} INTO random_states VALUES (?, ?)",  # noqa: S608
                (key, json.dumps(state)),
            )

    def close(self) -> None:
        """Close the file. If somebody has removed it, it is there again then."""
        if self._pid != os.getpid() or self._is_over:
            return
        try:
            message = self._restore()
        finally:
            if not self._is_over:
                self._is_over = True
                super().close()
        if message is not None:
            warnings.warn(message, CheckpointRestoredWarning, stacklevel=2)

    # ------------------------------------------------------------------

    def _environment(self, versions: dict[str, str]) -> int:
        text = json.dumps(versions, sort_keys=True)
        if text not in self._environments:
            self._environments[text] = self._number("environments", "versions", text)
        return self._environments[text]

    def _error(self, text: str | None) -> int | None:
        return None if text is None else self._number("errors", "text", text)

    def _number(self, table: str, column: str, text: str) -> int:
        """Return the row of `text` in a table of distinct texts."""
        self._db.execute(
            f"INSERT OR IGNORE INTO {table} ({column}) VALUES (?)",  # noqa: S608
            (text,),
        )
        (number,) = self._db.execute(
            f"SELECT id FROM {table} WHERE {column} = ?",  # noqa: S608
            (text,),
        ).fetchone()
        return int(number)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        before = self._restore()
        with self._translated():
            try:
                with transaction(self._db):
                    yield
            except BaseException:
                # What this transaction numbered is gone with it.
                self._environments.clear()
                raise
        # Somebody may have made an error of the warning, so it comes last.
        if message := self._restore() or before:
            warnings.warn(message, CheckpointRestoredWarning, stacklevel=4)

    def _restore(self) -> str | None:
        """Bring the file back if somebody has removed it; say what was done."""
        place = self._files.place()
        if place is Place.KEPT:
            return None
        with self._translated():
            try:
                if place is Place.LOG_GONE and self._empty_log():
                    return log_restored(self.path)
                return self._write_again(place)
            except OSError as exc:
                raise not_restored(self.path, exc) from exc

    def _empty_log(self) -> bool:
        """Bring what only the log has into the file, and open it anew."""
        query = "PRAGMA wal_checkpoint(TRUNCATE)"
        (is_in_use, _, _) = self._db.execute(query).fetchone()
        if is_in_use:
            return False
        self._db.close()
        self._open()
        return True

    def _write_again(self, place: Place) -> str:
        """Write all that was in the file to a new one; give what to warn of."""
        path = self._files.path
        with copied(self._db, path) as copy:
            if place is Place.GONE:
                # Before the new file has its name: SQLite removes the old log now.
                self._db.close()
                with contextlib.suppress(FileExistsError):
                    put(copy, path)
                    self._open()
                    return restored(path)
            elif not self._is_over:
                abandon(self._db)
            self._is_over = True
            rescued = rescue(copy, path)
            self._files.remove_log()
            raise taken(path, rescued)


def _json(score: object) -> str | None:
    if score is None:
        return None
    if isinstance(score, dict):
        return json.dumps({name: _number(value) for name, value in score.items()})
    return json.dumps(_number(score))


def _number(score: Any) -> int | float:
    """Return a number that JSON brings back as it is (NaN and infinities too)."""
    return int(score) if isinstance(score, int) else float(score)
