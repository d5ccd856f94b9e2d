"""What can be wrong with a checkpoint's file, said so that the user can mend it."""

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from .._exceptions import (
    CheckpointError,
    CheckpointFormatError,
    CheckpointWriteError,
)
from .durable import sync_directory

# Seconds to wait for another process that is writing to the same file.
BUSY_SECONDS = 60.0


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """Say what an SQLite error means to the user."""
    try:
        yield
    except sqlite3.OperationalError as exc:
        raise _write_error(path, exc) from exc
    except (sqlite3.DatabaseError, UnicodeDecodeError) as exc:
        # The latter where SQLite's message quotes bytes that are no text.
        raise damaged(path, str(exc)) from exc


def damaged(path: Path, why: str) -> CheckpointFormatError:
    """Give the error for a file that cannot be read as a checkpoint."""
    return CheckpointFormatError(
        f"The file {path} is not a checkpoint, or is damaged ({why}). It was not "
        "changed. Restore it from a copy, or move it away (with its -wal and -shm "
        "files, if any) to start afresh, or give another 'checkpoint'."
    )


def missing(path: Path) -> CheckpointError:
    """Give the error for a file that is not there, or is a directory."""
    what = "is a directory" if path.is_dir() else "does not exist"
    return CheckpointError(
        f"The checkpoint {path} {what}. Give the path of the file that a search has "
        "written; 'search.resumption.checkpoint' names it."
    )


def _write_error(path: Path, exc: sqlite3.OperationalError) -> CheckpointError:
    # What Python says itself, as of bytes that are no text, has no such name.
    name = getattr(exc, "sqlite_errorname", "SQLITE_ERROR")
    if name == "SQLITE_ERROR":
        return damaged(path, str(exc))
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
            f"{BUSY_SECONDS:.0f} seconds ({exc}). All folds that were stored before "
            "are safe. See which process uses the file, and call fit again to go on."
        )
    return CheckpointWriteError(
        f"The checkpoint {path} cannot be read or written ({exc}; {name}). All folds "
        "that were stored before are safe. See that the file and its directory can "
        "be written and that the disk works, and call fit again to go on."
    )


def require_writable(path: Path) -> None:
    """Raise the error that a first write would end in, before any fold is run."""
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


def create_private(path: Path) -> None:
    """Make the file readable by its owner alone, before SQLite opens it."""
    try:
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        # One that is there may be of a process that was killed before this.
        sync_directory(path.parent)
    except OSError as exc:
        raise CheckpointWriteError(
            f"The checkpoint {path} cannot be made: {exc}. No fold has been run. Give "
            "a 'checkpoint' in a directory that you can write to."
        ) from exc
