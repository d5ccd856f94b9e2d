"""The log that SQLite keeps beside a checkpoint: the file that ends in -wal.

What is stored is there first, and is in the checkpoint only later.
"""

import sqlite3
import time
import warnings
from pathlib import Path

from .._exceptions import CheckpointLogWarning
from .errors import BUSY_SECONDS
from .strangers import beside

__all__ = ["lacks_log", "use_log", "warn_of_log"]

# In the header of a file that has a log: https://www.sqlite.org/fileformat.html
_HAS_LOG = b"\x02\x02"

# Another process that makes the checkpoint in this moment is done with it by then.
_SETTLED_SECONDS = 1.0


def lacks_log(path: Path) -> bool:
    """Return whether SQLite keeps a log for a file, and the log is not there.

    That is so for a moment, too, while another process makes the checkpoint.
    """
    with path.open("rb") as file:
        header = file.read(20)
    return (
        header[18:] == _HAS_LOG
        and time.time() - path.stat().st_mtime > _SETTLED_SECONDS
        and not beside(path, "-wal").exists()
    )


def warn_of_log(path: Path) -> None:
    """Warn that what a search has stored may be in a log that is elsewhere."""
    log = beside(path, "-wal")
    warnings.warn(
        f"The checkpoint {path} is empty, although a search has opened it before. "
        f"Either that search was killed before it stored anything, or the file was "
        f"copied without the file {log.name} beside it, which has what a search stores "
        "first. If there is one at the old place, stop this search, and copy both "
        "files, or use 'resumable-search copy'.",
        CheckpointLogWarning,
        stacklevel=2,
    )


def use_log(db: sqlite3.Connection) -> None:
    """Set the mode, however many other processes do so in the same moment.

    SQLite reads before it writes here, and does not wait where two have read.
    """
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as exc:
            code = getattr(exc, "sqlite_errorcode", 0) & 0xFF
            if code != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.01)
