"""The checkpoint's tables: their format, and bringing a file up to date.

To change the format: raise `FORMAT`, add a function to `_MIGRATIONS` that takes
the format before it to the new one, and keep a checkpoint of the old format under
``tests/data``.
"""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

from .._exceptions import CheckpointFormatError
from .errors import damaged

__all__ = ["FORMAT", "prepare", "transaction"]

#: Number of the format that this code writes.
FORMAT = 1

#: Marks the file as one of ours ("RSrc").
_APPLICATION_ID = 0x52537263

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


@contextlib.contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Do all of it or nothing; it is on the disk at the end."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        raise


def prepare(db: sqlite3.Connection, path: Path) -> None:
    """Check the format, bring it up to date, and set how SQLite writes."""
    db.execute("PRAGMA trusted_schema = OFF")
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (n_tables,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    is_new = n_tables == 0 and application == 0
    if not is_new:
        _check_format(path, application, version)
    db.execute("PRAGMA journal_mode = WAL")
    # Each commit is synced to the disk before it returns.
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA foreign_keys = ON")
    if is_new:
        _create(db)
    else:
        _check_pages(db, path)
        _migrate(db, version)


def _check_format(path: Path, application: int, version: int) -> None:
    if application != _APPLICATION_ID:
        raise CheckpointFormatError(
            f"The file {path} is an SQLite database of another program, not "
            "a checkpoint. It was not touched. Give another 'checkpoint'."
        )
    if version > FORMAT:
        raise CheckpointFormatError(
            f"The checkpoint {path} has format {version}; this version of "
            f"resumable_search knows formats up to {FORMAT}. It was not touched. "
            "Upgrade with 'pip install --upgrade resumable-search', or give "
            "another 'checkpoint'."
        )


def _create(db: sqlite3.Connection) -> None:
    with transaction(db):
        # Another process may have come first.
        (n_tables,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if n_tables == 0:
            for statement in _SCHEMA.split(";"):
                db.execute(statement)
            db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {FORMAT}")


def _check_pages(db: sqlite3.Connection, path: Path) -> None:
    """Find a file that was cut off, before anything relies on it."""
    (n_pages,) = db.execute("PRAGMA page_count").fetchone()
    (page_bytes,) = db.execute("PRAGMA page_size").fetchone()
    log = path.with_name(f"{path.name}-wal")
    if log.exists() and log.stat().st_size:
        return  # the last pages may still be in there
    if path.stat().st_size < n_pages * page_bytes:
        raise damaged(path, "its end is missing")


def _migrate(db: sqlite3.Connection, version: int) -> None:
    while version < FORMAT:
        with transaction(db):
            _MIGRATIONS[version](db)
            version += 1
            db.execute(f"PRAGMA user_version = {version}")
