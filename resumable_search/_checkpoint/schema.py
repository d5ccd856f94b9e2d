"""The checkpoint's tables: their format, and bringing a file up to date.

To change the format: raise `FORMAT`, add a function to `_MIGRATIONS` that takes
the format before it to the new one, keep the old tables in `_PAST_SCHEMAS` and a
checkpoint of the old format under ``tests/data``.
"""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

from .._exceptions import CheckpointFormatError
from .errors import damaged
from .log import lacks_log, use_log, warn_of_log
from .strangers import check_pages, check_schema, lock_down

__all__ = [
    "FORMAT",
    "check_filled",
    "closed_on_failure",
    "prepare",
    "prepare_to_read",
    "transaction",
]

#: Number of the format that this code writes.
FORMAT = 3

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
    n_candidates INTEGER NOT NULL,           -- so far: some searches add to them
    scorers TEXT NOT NULL,                   -- JSON: name -> key
    metric TEXT NOT NULL,                    -- the scorer that decides
    parts TEXT NOT NULL,                     -- JSON: part -> name -> [key, text]
    created REAL NOT NULL,                   -- seconds since 1970, UTC
    started REAL NOT NULL,
    key_rules INTEGER NOT NULL,              -- by which its folds are keyed
    is_told INTEGER NOT NULL                 -- 1: a warning told of its old rules
);
CREATE TABLE details (
    search INTEGER NOT NULL REFERENCES searches (id) ON DELETE CASCADE,
    part TEXT NOT NULL,                      -- what they are details of
    path TEXT NOT NULL,                      -- the way to a value in it
    key TEXT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (search, part, path)
) WITHOUT ROWID;
CREATE TABLE candidates (
    search INTEGER NOT NULL REFERENCES searches (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,               -- in cv_results_
    round INTEGER NOT NULL,                  -- call of evaluate_candidates
    key TEXT NOT NULL,
    parameters TEXT NOT NULL,                -- JSON: name -> [text] or [text, value]
    PRIMARY KEY (search, position)
) WITHOUT ROWID;
CREATE TABLE splits (
    search INTEGER NOT NULL REFERENCES searches (id) ON DELETE CASCADE,
    round INTEGER NOT NULL,
    position INTEGER NOT NULL,
    key TEXT NOT NULL,
    PRIMARY KEY (search, round, position)
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
    started REAL,                            -- likewise
    worker INTEGER,                          -- number of the place it ran in
    device TEXT,                             -- UUID of the GPU
    environment INTEGER NOT NULL REFERENCES environments (id),
    error INTEGER REFERENCES errors (id),
    warned INTEGER NOT NULL,                 -- 1: the filters decided about a warning
    error_filters TEXT NOT NULL,             -- those that made warnings errors
    PRIMARY KEY (key, scorer)
) WITHOUT ROWID;
CREATE TABLE random_states (
    key TEXT PRIMARY KEY,                    -- of what draws, and from which data
    state TEXT NOT NULL                      -- JSON
) WITHOUT ROWID;
"""

#: Format -> its tables that are not those of today, by which a file is recognised.
_PAST_SCHEMAS = {
    1: """
CREATE TABLE searches (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    family TEXT NOT NULL,
    kind TEXT NOT NULL,
    run TEXT NOT NULL,
    n_splits INTEGER NOT NULL,
    parts TEXT NOT NULL,
    created REAL NOT NULL,
    started REAL NOT NULL
);
CREATE TABLE candidates (
    search INTEGER NOT NULL REFERENCES searches (id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    parameters TEXT NOT NULL,
    PRIMARY KEY (search, key)
) WITHOUT ROWID;
CREATE TABLE splits (
    search INTEGER NOT NULL REFERENCES searches (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    key TEXT NOT NULL,
    PRIMARY KEY (search, key)
) WITHOUT ROWID;
CREATE TABLE folds (
    key TEXT NOT NULL,
    scorer TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('done', 'failed')),
    test_score TEXT,
    train_score TEXT,
    n_test_samples INTEGER NOT NULL,
    fit_time REAL NOT NULL,
    score_time REAL NOT NULL,
    attempts INTEGER NOT NULL,
    finished REAL NOT NULL,
    environment INTEGER NOT NULL REFERENCES environments (id),
    error INTEGER REFERENCES errors (id),
    PRIMARY KEY (key, scorer)
) WITHOUT ROWID;
""",
    2: """
CREATE TABLE searches (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    family TEXT NOT NULL,
    kind TEXT NOT NULL,
    run TEXT NOT NULL,
    n_splits INTEGER NOT NULL,
    n_candidates INTEGER NOT NULL,
    scorers TEXT NOT NULL,
    metric TEXT NOT NULL,
    parts TEXT NOT NULL,
    created REAL NOT NULL,
    started REAL NOT NULL
);
CREATE TABLE folds (
    key TEXT NOT NULL,
    scorer TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('done', 'failed')),
    test_score TEXT,
    train_score TEXT,
    n_test_samples INTEGER NOT NULL,
    fit_time REAL NOT NULL,
    score_time REAL NOT NULL,
    attempts INTEGER NOT NULL,
    finished REAL NOT NULL,
    started REAL,
    worker INTEGER,
    device TEXT,
    environment INTEGER NOT NULL REFERENCES environments (id),
    error INTEGER REFERENCES errors (id),
    PRIMARY KEY (key, scorer)
) WITHOUT ROWID;
""",
}

#: Format -> tables that it was the first to have.
_ADDED = {3: ("details",)}


def _from_1_to_2(db: sqlite3.Connection) -> None:
    """Give candidates and splits an order, and searches the names of their scorers.

    Candidates of format 1 have no order, so theirs is that of their keys.
    """
    for table in _CHANGED_IN_2:
        # S608: names of our own tables.
        db.execute(f"CREATE TEMP TABLE old_{table} AS SELECT * FROM {table}")  # noqa: S608
    for table in reversed(_CHANGED_IN_2):
        db.execute(f"DROP TABLE {table}")
    for statement in _statements(2):
        if statement.split()[2] in _CHANGED_IN_2:
            db.execute(statement)
    db.execute(
        "INSERT INTO searches SELECT id, key, family, kind, run, n_splits, "
        "(SELECT count(*) FROM old_candidates WHERE search = old_searches.id), "
        "(SELECT json_group_object(key, json_extract(value, '$[0]')) "
        "FROM json_each(parts, '$.scorer')), "
        "coalesce((SELECT min(key) FROM json_each(parts, '$.scorer')), 'score'), "
        "parts, created, started FROM old_searches"
    )
    db.execute(
        "INSERT INTO candidates SELECT search, "
        "row_number() OVER (PARTITION BY search ORDER BY key) - 1, 0, key, "
        "(SELECT json_group_object(key, json_array(value)) "
        "FROM json_each(parameters)) FROM old_candidates"
    )
    db.execute("INSERT INTO splits SELECT search, 0, position, key FROM old_splits")
    db.execute(
        "INSERT INTO folds SELECT key, scorer, state, test_score, train_score, "
        "n_test_samples, fit_time, score_time, attempts, finished, NULL, NULL, NULL, "
        "environment, error FROM old_folds"
    )
    for table in _CHANGED_IN_2:
        db.execute(f"DROP TABLE old_{table}")


#: A table comes before those that refer to it.
_CHANGED_IN_2 = ("searches", "candidates", "splits", "folds")


def _from_2_to_3(db: sqlite3.Connection) -> None:
    """Mark the searches whose folds are keyed by the rules of before."""
    for table in ("searches", "folds"):
        db.execute(f"CREATE TEMP TABLE old_{table} AS SELECT * FROM {table}")  # noqa: S608
        db.execute(f"DROP TABLE {table}")
    for statement in _statements(3):
        if statement.split()[2] in ("searches", "folds", "details"):
            db.execute(statement)
    db.execute("INSERT INTO searches SELECT *, 1, 0 FROM old_searches")
    db.execute("INSERT INTO folds SELECT *, 0, '' FROM old_folds")
    for table in ("searches", "folds"):
        db.execute(f"DROP TABLE old_{table}")


#: Format -> function that takes a file from it to the next one.
_MIGRATIONS: dict[int, Callable[[sqlite3.Connection], None]] = {
    1: _from_1_to_2,
    2: _from_2_to_3,
}


def _statements(version: int = FORMAT) -> list[str]:
    """Return the statements that make the tables of a format."""
    later = {table for v, tables in _ADDED.items() if v > version for table in tables}
    # Older ones first: a table is as in the first format that had another one later.
    schemas = [s for v, s in sorted(_PAST_SCHEMAS.items()) if v >= version]
    tables: dict[str, str] = {}
    for schema in (*schemas, _SCHEMA):
        for statement in filter(None, map(str.strip, schema.split(";"))):
            tables.setdefault(statement.split()[2], statement)
    return [text for table, text in tables.items() if table not in later]


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


@contextlib.contextmanager
def closed_on_failure(db: sqlite3.Connection) -> Iterator[None]:
    """Keep a connection only if what is done with it first goes well."""
    try:
        yield
    except BaseException:
        db.close()
        raise


def prepare(db: sqlite3.Connection, path: Path) -> None:
    """Check the format, bring it up to date, and set how SQLite writes."""
    log_is_missing = lacks_log(path)  # SQLite makes it when it first reads
    is_new = _check(db, path) is None
    if not is_new:
        check_pages(db, path)
    use_log(db)
    # Each commit is synced to the disk before it returns.
    db.execute("PRAGMA synchronous = FULL")
    if is_new:
        _create(db)
    _migrate(db)
    # After a migration, which drops tables that others refer to.
    db.execute("PRAGMA foreign_keys = ON")
    if is_new and log_is_missing:
        # Somebody may have made an error of it, so it comes last, and once.
        warn_of_log(path)


def check_filled(db: sqlite3.Connection, path: Path) -> int:
    """Return the format of a file that holds what it may, and is not empty."""
    version = _check(db, path)
    if version is None:
        raise CheckpointFormatError(
            f"The checkpoint {path} is empty: the search that made it has not begun, "
            "or ended before it had. Or it was copied while the search ran, or after "
            f"it was killed, without the file {path.name}-wal beside it: copy both. "
            "Otherwise run the search, or give another 'checkpoint'."
        )
    return version


def prepare_to_read(db: sqlite3.Connection, path: Path) -> None:
    """Check the format of a file that is not going to be written."""
    version = check_filled(db, path)
    check_pages(db, path)
    if version < FORMAT:
        raise CheckpointFormatError(
            f"The checkpoint {path} has the older format {version}, and reading "
            f"changes no file. Call fit with it once, which brings it to format "
            f"{FORMAT}, and read it then."
        )


def _check(db: sqlite3.Connection, path: Path) -> int | None:
    """Return the format of a file that holds what it may; None: it is empty."""
    lock_down(db)
    # All of it as it is at one moment: another process may be making the tables.
    db.execute("BEGIN")
    try:
        (application,) = db.execute("PRAGMA application_id").fetchone()
        (n_tables,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        version = _version(db)
        if n_tables == 0 and application == 0:
            return None
        _check_format(path, application, version)
        check_schema(db, path, _statements(version))
    finally:
        db.execute("ROLLBACK")
    return version


def _version(db: sqlite3.Connection) -> int:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    return int(version)


def _check_format(path: Path, application: int, version: int) -> None:
    if application != _APPLICATION_ID:
        raise CheckpointFormatError(
            f"The file {path} is an SQLite database of another program, not "
            "a checkpoint. It was not touched. Give another 'checkpoint'."
        )
    if version < 1:
        raise damaged(path, f"it has the format {version}")
    if version > FORMAT:
        raise CheckpointFormatError(
            f"The checkpoint {path} has format {version}; this version of "
            f"resumable_search knows formats up to {FORMAT}. It was not touched. "
            "Upgrade resumable_search, or give another 'checkpoint'."
        )


def _create(db: sqlite3.Connection) -> None:
    with transaction(db):
        # Another process may have come first.
        (n_tables,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if n_tables == 0:
            for statement in _statements():
                db.execute(statement)
            db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {FORMAT}")


def _migrate(db: sqlite3.Connection) -> None:
    while _version(db) < FORMAT:
        with transaction(db):
            version = _version(db)
            if version < FORMAT:  # else another process came first
                _MIGRATIONS[version](db)
                db.execute(f"PRAGMA user_version = {version + 1}")
