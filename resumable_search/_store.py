"""The checkpoint: what a store promises, and the one on SQLite.

The promise:

- what `save` was given is on the disk when `save` returns, all of it or nothing;
- a fold that is done is never changed;
- only the process that runs a search writes its folds, from one thread; several
  processes may use one file for different searches, and read it at any time;
- opening a file and reading it runs no code: there is no pickle in it.

To change the format: raise `FORMAT`, add a function to `_MIGRATIONS` that takes
the format before it to the new one, and keep a checkpoint of the old format under
``tests/data``.
"""

import contextlib
import json
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ._exceptions import (
    CheckpointError,
    CheckpointFormatError,
    CheckpointWriteError,
)
from ._records import FoldRecord, FoldState, SearchRecord

__all__ = ["FORMAT", "CheckpointStore"]

#: Number of the format that this code writes.
FORMAT = 1

#: Marks the file as one of ours ("RSrc").
_APPLICATION_ID = 0x52537263

# Seconds to wait for another process that is writing to the same file.
_BUSY_SECONDS = 60.0

# SQLite takes this many values in one statement in every version.
_MOST_VALUES = 900

_SCHEMA = """
CREATE TABLE environments (
    id INTEGER PRIMARY KEY,
    versions TEXT NOT NULL UNIQUE            -- JSON: name -> version
);
CREATE TABLE errors (
    id INTEGER PRIMARY KEY,
    text TEXT NOT NULL UNIQUE                -- traceback, or how the worker died
);
CREATE TABLE searches (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    family TEXT NOT NULL,                    -- key of estimator, data, fit params
    kind TEXT NOT NULL,                      -- name of the search class
    run TEXT NOT NULL,                       -- the run that started it last
    n_splits INTEGER NOT NULL,
    parts TEXT NOT NULL,                     -- JSON: part -> name -> [key, text]
    created REAL NOT NULL,                   -- seconds since 1970, UTC
    started REAL NOT NULL
);
CREATE TABLE candidates (
    search INTEGER NOT NULL REFERENCES searches (id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    parameters TEXT NOT NULL,                -- JSON: name -> text, for people
    PRIMARY KEY (search, key)
) WITHOUT ROWID;
CREATE TABLE splits (
    search INTEGER NOT NULL REFERENCES searches (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    key TEXT NOT NULL,
    PRIMARY KEY (search, key)
) WITHOUT ROWID;
CREATE TABLE folds (
    key TEXT NOT NULL,                       -- of family, candidate and split
    scorer TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('done', 'failed')),
    test_score TEXT,                         -- JSON, so that NaN comes back
    train_score TEXT,
    n_test_samples INTEGER NOT NULL,
    fit_time REAL NOT NULL,                  -- seconds
    score_time REAL NOT NULL,                -- seconds
    attempts INTEGER NOT NULL,
    finished REAL NOT NULL,                  -- seconds since 1970, UTC
    environment INTEGER NOT NULL REFERENCES environments (id),
    error INTEGER REFERENCES errors (id),
    PRIMARY KEY (key, scorer)
) WITHOUT ROWID;
CREATE TABLE random_states (
    key TEXT PRIMARY KEY,                    -- of what draws, and from which data
    state TEXT NOT NULL                      -- JSON
) WITHOUT ROWID;
"""

#: Format -> function that takes a file from it to the next one.
_MIGRATIONS: dict[int, Callable[[sqlite3.Connection], None]] = {}

_SAVE_FOLD = """
INSERT INTO folds VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (key, scorer) DO UPDATE SET
    state = excluded.state, test_score = excluded.test_score,
    train_score = excluded.train_score, n_test_samples = excluded.n_test_samples,
    fit_time = excluded.fit_time, score_time = excluded.score_time,
    attempts = folds.attempts + excluded.attempts, finished = excluded.finished,
    environment = excluded.environment, error = excluded.error
WHERE folds.state != 'done'
"""

# A finished fold is never changed, but train scores can join it.
_ADD_TRAIN_SCORE = """
UPDATE folds SET train_score = ?
WHERE key = ? AND scorer = ? AND state = 'done' AND train_score IS NULL
"""

_FIND_FOLDS = """
SELECT key, scorer, state, test_score, train_score, n_test_samples, fit_time,
       score_time, attempts, environment
FROM folds WHERE state = 'done' AND key IN ({})
"""


class CheckpointStore:
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
        self.path = path
        self._pid = os.getpid()
        self._environments: dict[str, int] = {}
        self._versions: dict[int, dict[str, str]] = {}
        _require_writable(path)
        _create_private(path)
        with self._translated():
            self._db = sqlite3.connect(
                path, timeout=_BUSY_SECONDS, isolation_level=None, cached_statements=16
            )
        try:
            with self._translated():
                self._prepare()
        except BaseException:
            self._db.close()
            raise

    # ------------------------------------------------------------------
    # Folds

    def find(self, keys: Iterable[str]) -> dict[str, dict[str, FoldRecord]]:
        """Give the finished folds among `keys`: key -> scorer -> record."""
        found: dict[str, dict[str, FoldRecord]] = {}
        with self._translated():
            for chunk in _chunks(list(keys), _MOST_VALUES):
                marks = ",".join("?" * len(chunk))
                for row in self._db.execute(_FIND_FOLDS.format(marks), chunk):
                    record = self._fold(*row)
                    found.setdefault(record.key, {})[record.scorer] = record
        return found

    def save(self, records: Sequence[FoldRecord]) -> None:
        """Store folds, all or none; they are on the disk when this returns."""
        now = time.time()
        with self._transaction():
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
                    self._environment(record.versions),
                    self._error(record.error),
                )
                for record in records
            ]
            self._db.executemany(_SAVE_FOLD, rows)
            self._db.executemany(
                _ADD_TRAIN_SCORE,
                [
                    (_json(record.train_score), record.key, record.scorer)
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
                "INSERT INTO searches "
                "(key, family, kind, run, n_splits, parts, created, started) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET "
                "run = excluded.run, started = excluded.started RETURNING id",
                (
                    search.key,
                    search.family,
                    search.kind,
                    search.run,
                    search.n_splits,
                    json.dumps(search.parts),
                    now,
                    now,
                ),
            ).fetchone()
        return int(number)

    def describe(
        self,
        search: int,
        candidates: Iterable[tuple[str, dict[str, str]]],
        splits: Iterable[tuple[str, int]],
    ) -> None:
        """Note candidates (key, name -> text) and splits (key, position)."""
        with self._transaction():
            self._db.executemany(
                "INSERT OR IGNORE INTO candidates VALUES (?, ?, ?)",
                ((search, key, json.dumps(texts)) for key, texts in candidates),
            )
            self._db.executemany(
                "INSERT OR IGNORE INTO splits VALUES (?, ?, ?)",
                ((search, position, key) for key, position in splits),
            )

    def searches(self) -> list[SearchRecord]:
        """Give all searches, the one that was started last first."""
        with self._translated():
            rows = self._db.execute(
                "SELECT key, family, kind, run, n_splits, parts FROM searches "
                "ORDER BY started DESC, id DESC"
            ).fetchall()
        names = ("key", "family", "kind", "run", "n_splits")
        return [
            SearchRecord(**dict(zip(names, row, strict=False)), parts=_parts(row[-1]))
            for row in rows
        ]

    # ------------------------------------------------------------------
    # Random states

    def random_state(self, key: str) -> Any:
        """Give the random state that was stored under `key`, or None."""
        with self._translated():
            row = self._db.execute(
                "SELECT state FROM random_states WHERE key = ?", (key,)
            ).fetchone()
        return None if row is None else json.loads(row[0])

    def save_random_state(self, key: str, state: object) -> None:
        """Store a random state under `key`, unless there is one."""
        with self._transaction():
            self._db.execute(
                "INSERT OR IGNORE INTO random_states VALUES (?, ?)",
                (key, json.dumps(state)),
            )

    def close(self) -> None:
        """Close the file."""
        if self._pid == os.getpid():
            self._db.close()

    # ------------------------------------------------------------------

    def _prepare(self) -> None:
        """Check the format, bring it up to date, and set how SQLite writes."""
        db = self._db
        db.execute("PRAGMA trusted_schema = OFF")
        (application,) = db.execute("PRAGMA application_id").fetchone()
        (version,) = db.execute("PRAGMA user_version").fetchone()
        (n_tables,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        is_new = n_tables == 0 and application == 0
        if not is_new:
            self._check_format(application, version)
        db.execute("PRAGMA journal_mode = WAL")
        # Each commit is synced to the disk before it returns.
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA foreign_keys = ON")
        if is_new:
            self._create()
        else:
            self._check_pages()
            self._migrate(version)

    def _check_format(self, application: int, version: int) -> None:
        if application != _APPLICATION_ID:
            raise CheckpointFormatError(
                f"The file {self.path} is an SQLite database of another program, not "
                "a checkpoint. It was not touched. Give another 'checkpoint'."
            )
        if version > FORMAT:
            raise CheckpointFormatError(
                f"The checkpoint {self.path} has format {version}; this version of "
                f"resumable_search knows formats up to {FORMAT}. It was not touched. "
                "Upgrade with 'pip install --upgrade resumable-search', or give "
                "another 'checkpoint'."
            )

    def _create(self) -> None:
        with self._transaction():
            # Another process may have come first.
            (n_tables,) = self._db.execute(
                "SELECT count(*) FROM sqlite_schema"
            ).fetchone()
            if n_tables == 0:
                for statement in _SCHEMA.split(";"):
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
                self._db.execute(f"PRAGMA user_version = {FORMAT}")

    def _check_pages(self) -> None:
        """Find a file that was cut off, before anything relies on it."""
        (n_pages,) = self._db.execute("PRAGMA page_count").fetchone()
        (page_bytes,) = self._db.execute("PRAGMA page_size").fetchone()
        log = self.path.with_name(f"{self.path.name}-wal")
        if log.exists() and log.stat().st_size:
            return  # the last pages may still be in there
        if self.path.stat().st_size < n_pages * page_bytes:
            raise CheckpointFormatError(_damaged(self.path, "its end is missing"))

    def _migrate(self, version: int) -> None:
        while version < FORMAT:
            with self._transaction():
                _MIGRATIONS[version](self._db)
                version += 1
                self._db.execute(f"PRAGMA user_version = {version}")

    def _environment(self, versions: dict[str, str]) -> int:
        text = json.dumps(versions, sort_keys=True)
        if text not in self._environments:
            self._environments[text] = self._number("environments", "versions", text)
        return self._environments[text]

    def _error(self, text: str | None) -> int | None:
        return None if text is None else self._number("errors", "text", text)

    def _number(self, table: str, column: str, text: str) -> int:
        """Give the row of `text` in a table of distinct texts."""
        self._db.execute(
            f"INSERT OR IGNORE INTO {table} ({column}) VALUES (?)",  # noqa: S608
            (text,),
        )
        (number,) = self._db.execute(
            f"SELECT id FROM {table} WHERE {column} = ?",  # noqa: S608
            (text,),
        ).fetchone()
        return int(number)

    def _fold(
        self,
        key: str,
        scorer: str,
        state: str,
        test_score: str,
        train_score: str | None,
        n_test_samples: int,
        fit_time: float,
        score_time: float,
        attempts: int,
        environment: int,
    ) -> FoldRecord:
        if environment not in self._versions:
            (text,) = self._db.execute(
                "SELECT versions FROM environments WHERE id = ?", (environment,)
            ).fetchone()
            self._versions[environment] = json.loads(text)
        return FoldRecord(
            key=key,
            scorer=scorer,
            state=FoldState(state),
            test_score=json.loads(test_score),
            train_score=None if train_score is None else json.loads(train_score),
            n_test_samples=n_test_samples,
            fit_time=fit_time,
            score_time=score_time,
            attempts=attempts,
            versions=self._versions[environment],
        )

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._translated():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                # What this transaction numbered is gone with it.
                self._environments.clear()
                with contextlib.suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """Say what an SQLite error means to the user."""
        try:
            yield
        except sqlite3.OperationalError as exc:
            raise _write_error(self.path, exc) from exc
        except sqlite3.DatabaseError as exc:
            raise CheckpointFormatError(_damaged(self.path, str(exc))) from exc


def _chunks(items: list[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _json(score: object) -> str | None:
    if score is None:
        return None
    if isinstance(score, dict):
        return json.dumps({name: _number(value) for name, value in score.items()})
    return json.dumps(_number(score))


def _number(score: Any) -> int | float:
    """Give a number that JSON brings back as it is (NaN and infinities too)."""
    return int(score) if isinstance(score, int) else float(score)


def _parts(text: str) -> dict[str, dict[str, tuple[str, str]]]:
    return {
        part: {name: (key, value) for name, (key, value) in values.items()}
        for part, values in json.loads(text).items()
    }


def _require_writable(path: Path) -> None:
    if path.is_dir():
        raise CheckpointFormatError(
            f"The checkpoint {path} is a directory. Give the path of a file, such as "
            f"{path / 'checkpoint.sqlite'}."
        )
    # SQLite writes files beside the checkpoint too.
    target = path if path.exists() else path.parent
    if not (os.access(target, os.W_OK) and os.access(path.parent, os.W_OK | os.X_OK)):
        raise CheckpointWriteError(
            f"The checkpoint {path} cannot be written: no permission for {target}. "
            "No fold has been run. Give a 'checkpoint' in a directory that you can "
            "write to."
        )


def _create_private(path: Path) -> None:
    """Make the file readable by its owner alone, before SQLite opens it."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return
    except OSError as exc:
        raise CheckpointWriteError(
            f"The checkpoint {path} cannot be made: {exc}. No fold has been run. Give "
            "a 'checkpoint' in a directory that you can write to."
        ) from exc


def _damaged(path: Path, why: str) -> str:
    return (
        f"The file {path} is not a checkpoint, or is damaged ({why}). It was not "
        "changed. Restore it from a copy, or move it away (with its -wal and -shm "
        "files, if any) to start afresh, or give another 'checkpoint'."
    )


def _write_error(path: Path, exc: sqlite3.OperationalError) -> CheckpointError:
    name = getattr(exc, "sqlite_errorname", "")
    if name.startswith("SQLITE_FULL"):
        free = shutil.disk_usage(path.parent).free
        return CheckpointWriteError(
            f"The disk of the checkpoint {path} is full ({free:,} bytes free). All "
            "folds that were stored before are safe. Free some space and call fit "
            "again to go on."
        )
    if name.startswith("SQLITE_BUSY"):
        return CheckpointWriteError(
            f"The checkpoint {path} was locked by another process for over "
            f"{_BUSY_SECONDS:.0f} seconds ({exc}). All folds that were stored before "
            "are safe. See which process uses the file, and call fit again to go on."
        )
    return CheckpointWriteError(
        f"The checkpoint {path} cannot be read or written ({exc}; {name}). All folds "
        "that were stored before are safe. See that the file and its directory can "
        "be written and that the disk works, and call fit again to go on."
    )
