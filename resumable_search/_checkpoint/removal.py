"""When somebody removes or replaces the file that a search is writing to.

The process still has it open, so nothing is lost until it ends. SQLite does not
look; so the store does, before and after each commit.
"""

import contextlib
import ctypes
import os
import secrets
import sqlite3
from collections.abc import Iterator
from enum import Enum, auto
from pathlib import Path

from .durable import make_directories, sync_directory
from .strangers import beside

__all__ = ["OpenFiles", "Place", "abandon", "copied", "put", "rescue"]


class Place(Enum):
    """Where the open files are."""

    KEPT = auto()
    """In their place."""

    GONE = auto()
    """There is no file in the place of the checkpoint."""

    LOG_GONE = auto()
    """A file beside it is missing, in which SQLite has the last commits."""

    TAKEN = auto()
    """Another file is in the place of one of them."""


class OpenFiles:
    """The files that a connection has just opened.

    Parameters
    ----------
    path : Path
        The checkpoint.
    """

    def __init__(self, path: Path) -> None:
        # A link to it may change: the file is what counts.
        self.path = path.resolve()
        files = (self.path, beside(path, "-wal"), beside(path, "-shm"))
        self._opened = {
            file: identity for file in files if (identity := _identity(file))
        }

    def place(self) -> Place:
        """Return whether they are still where they were opened."""
        try:
            now = {file: _identity(file) for file in self._opened}
        except OSError:  # no permission to look any more, or a disk that hangs
            return Place.KEPT
        if now == self._opened:
            return Place.KEPT
        if now[self.path] is None:
            return Place.GONE
        if any(now[f] not in (None, opened) for f, opened in self._opened.items()):
            return Place.TAKEN
        return Place.LOG_GONE

    def remove_log(self) -> None:
        """Remove what is still beside the file that is there now.

        It is the log of another file, and SQLite would write it over that one.
        """
        for file, opened in self._opened.items():
            if file != self.path and _identity(file) == opened:
                file.unlink()


@contextlib.contextmanager
def copied(db: sqlite3.Connection, path: Path) -> Iterator[Path]:
    """Return a file beside `path` with all that a connection sees, on the disk."""
    make_directories(path.parent)
    # Of several machines, too: they may share the directory.
    copy = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
    os.close(os.open(copy, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    # Nobody else knows it, and a network file system may have no locks.
    address = f"{copy.absolute().as_uri()}?nolock=1"
    try:
        with contextlib.closing(sqlite3.connect(address, uri=True)) as target:
            db.backup(target)
        yield copy
    finally:
        copy.unlink(missing_ok=True)


def put(copy: Path, path: Path) -> None:
    """Give a file its name, unless there is one of that name."""
    try:
        os.link(copy, path)
    except FileExistsError:
        raise
    except OSError:  # the file system has no links
        if path.exists():
            raise FileExistsError(path) from None
        copy.rename(path)
    sync_directory(path.parent)


def rescue(copy: Path, path: Path) -> Path:
    """Give a file a new name beside `path`."""
    number = 1
    while True:
        name = path.with_name(f"{path.stem}-rescued-{number}{path.suffix}")
        try:
            put(copy, name)
        except FileExistsError:
            number += 1
        else:
            return name


def abandon(db: sqlite3.Connection) -> None:
    """Have a connection stay open until the process ends.

    When it is closed, SQLite removes the log by its name, and with that name there
    may be the log of another file by now.
    """
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(db))


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino
