"""What a checkpoint from a stranger may do when it is opened: nothing.

SQLite runs what stands in a file (triggers, views, virtual tables, expressions of
indexes), and a rollback journal can name a file that SQLite removes. A checkpoint
has none of these, so a file that has one is refused before anything is read.
"""

import os
import re
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path

from .._exceptions import CheckpointFormatError
from .errors import damaged

__all__ = ["beside", "check_journal", "check_pages", "check_schema", "lock_down"]

# The last bytes of a journal that names another file.
_JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")

# SQLite follows the pages of a tree by calling itself: more of them than this, in
# a chain, would be too much for its stack. It is a file of half a million folds.
_MOST_PAGES_TO_CHECK = 15_000

# The smallest pages that SQLite makes since 2016, and the largest that it can.
_LEAST_PAGE_BYTES = 4096
_MOST_PAGE_BYTES = 65536


def beside(path: Path, ending: str) -> Path:
    """Return the file that SQLite keeps beside a file, links followed as it does."""
    real = path.resolve()
    return real.with_name(f"{real.name}{ending}")


def check_journal(path: Path) -> None:
    """Refuse a file beside which a journal lies that no search has left.

    There is one for a moment, when an empty file becomes a checkpoint. What it
    brings back is the empty file.
    """
    journal = beside(path, "-journal")
    try:
        with journal.open("rb") as file:
            header = file.read(20)
            file.seek(max(0, file.seek(0, os.SEEK_END) - len(_JOURNAL_MAGIC)))
            ending = file.read()
        n_bytes = path.stat().st_size if path.exists() else 0
    except FileNotFoundError:
        return
    except OSError as exc:
        raise CheckpointFormatError(
            f"The file {journal} cannot be read ({exc}). It belongs to the checkpoint "
            f"{path}, which was not touched. See what it is, and move it away."
        ) from exc
    n_pages_before = int.from_bytes(header[16:])
    if ending == _JOURNAL_MAGIC or n_pages_before or n_bytes > _MOST_PAGE_BYTES:
        raise CheckpointFormatError(
            f"The file {journal} tells SQLite to change {path} or to remove other "
            "files; no search leaves one like it. Nothing was touched. Do not use "
            "either unless you know where they come from. To use the checkpoint "
            "alone, move the journal away."
        )


def lock_down(db: sqlite3.Connection) -> None:
    """Take from a connection what no checkpoint needs."""
    db.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    if sys.version_info >= (3, 12):
        db.setconfig(sqlite3.SQLITE_DBCONFIG_DEFENSIVE, True)
        db.setconfig(sqlite3.SQLITE_DBCONFIG_ENABLE_TRIGGER, False)
        db.setconfig(sqlite3.SQLITE_DBCONFIG_ENABLE_VIEW, False)
        db.setconfig(sqlite3.SQLITE_DBCONFIG_TRUSTED_SCHEMA, False)
    db.execute("PRAGMA trusted_schema = OFF")
    # Pages are looked at before they are used.
    db.execute("PRAGMA cell_size_check = ON")


def check_schema(db: sqlite3.Connection, path: Path, tables: Sequence[str]) -> None:
    """Refuse a file that holds anything but these tables.

    Parameters
    ----------
    db : sqlite3.Connection
        The open file.
    path : Path
        Its path.
    tables : sequence of str
        The statements that make the tables of its format.
    """
    missing = {_normal(statement): statement.split()[2] for statement in tables}
    for kind, name, statement in db.execute(
        "SELECT type, name, sql FROM sqlite_schema"
    ):
        if kind == "index" and statement is None:  # of a key; SQLite makes it
            continue
        if str(name).startswith("sqlite_stat"):  # of ANALYZE
            continue
        if kind != "table" or missing.pop(_normal(str(statement)), None) != name:
            raise CheckpointFormatError(
                f"The file {path} holds the {kind} {name!r}, which no checkpoint has "
                "in this form. It was not touched. If you have not made that yourself, "
                "do not trust the file. Give another 'checkpoint'."
            )
    if missing:
        raise damaged(path, f"the table {min(missing.values())!r} is missing")


def check_pages(db: sqlite3.Connection, path: Path) -> None:
    """Find pages that are damaged or lost, before anything relies on them."""
    (n_pages,) = db.execute("PRAGMA page_count").fetchone()
    (page_bytes,) = db.execute("PRAGMA page_size").fetchone()
    log = beside(path, "-wal")
    # Else the last pages may still be in there.
    is_whole = not (log.exists() and log.stat().st_size)
    if is_whole and path.stat().st_size < n_pages * page_bytes:
        raise damaged(path, "its end is missing")
    if page_bytes < _LEAST_PAGE_BYTES:
        raise damaged(path, f"it has pages of {page_bytes} bytes")
    if n_pages > _MOST_PAGES_TO_CHECK:
        return
    (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
    # SQLite 3.40 sees this where the key of a table does not come first, as in
    # format 1. There is no such value.
    if found not in ("ok", "NULL value in splits.position"):
        raise damaged(path, found.removeprefix("*** in database main ***\n"))


def _normal(statement: str) -> str:
    """Return a statement without comments and layout."""
    return " ".join(re.sub("--.*", "", statement).split())
