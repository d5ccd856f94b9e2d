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
    """Return the error for a file that cannot be read as a checkpoint."""
    return CheckpointFormatError(
        f"The file {path} is not a checkpoint, or is damaged ({why}). It was not "
        "changed. Restore it from a copy, or move it away (with its -wal and -shm "
        "files, if any) to start afresh, or give another 'checkpoint'."
    )


def require_file(path: Path) -> None:
    """Raise the error for a file that is not there, or cannot be looked at."""
    try:
        if path.is_file():
            return
    except OSError as exc:
        raise CheckpointError(
            f"The checkpoint {path} cannot be read: {exc}. See that you may enter its "
            "directory."
        ) from exc
    raise _missing(path)


def _missing(path: Path) -> CheckpointError:
    """Return the error for a file that is not there, or is a directory."""
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
        return CheckpointWriteError(
            f"The disk of the checkpoint {path} is full ({_free_bytes(path)}). All "
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


def _free_bytes(path: Path) -> str:
    try:
        return f"{shutil.disk_usage(path.parent).free:,} bytes free"
    except OSError:  # the directory is gone as well
        return "no bytes free"


def restored(path: Path) -> str:
    """Return the warning about a file that was removed and is there again."""
    return (
        f"The checkpoint {path} was deleted while a search was writing to it. It has "
        "been written again, with all that was in it. To stop a search, interrupt it; "
        "to start afresh, delete the checkpoint while no search runs."
    )


def log_restored(path: Path) -> str:
    """Return the warning about a file beside it that was removed."""
    return (
        f"A file beside the checkpoint {path}, with -wal or -shm at the end of its "
        "name, was deleted while a search was writing to it. All that was in it is in "
        "the checkpoint now. Leave these files alone while a search runs: until then "
        "it was only in the memory of the search."
    )


def not_restored(path: Path, exc: OSError) -> CheckpointWriteError:
    """Return the error for a file that was removed and cannot be written again."""
    return CheckpointWriteError(
        f"The checkpoint {path} was deleted or replaced while a search was writing to "
        f"it, and cannot be written again ({exc}). What it held is lost. Restore it "
        "from a copy, if there is one, or see that its directory can be written, and "
        "call fit again."
    )


def taken(path: Path, rescued: Path) -> CheckpointWriteError:
    """Return the error for a file in whose place there is another one."""
    return CheckpointWriteError(
        f"Another file has taken the place of the checkpoint {path} while a search was "
        f"writing to it. That one was not touched. All that the search has stored is "
        f"in {rescued}. To go on from there, give it as 'checkpoint', or move it to "
        f"{path}, and call fit again."
    )


def require_writable(path: Path) -> None:
    """Raise the error that a first write would end in, before any fold is run."""
    try:
        is_directory, target = path.is_dir(), path if path.exists() else path.parent
    except OSError as exc:  # a directory above it cannot be entered
        raise _no_permission(path, str(exc)) from exc
    if is_directory:
        raise CheckpointFormatError(
            f"The checkpoint {path} is a directory. Give the path of a file, such as "
            f"{path / 'checkpoint.sqlite'}."
        )
    # SQLite writes files beside the checkpoint too.
    if not (os.access(target, os.W_OK) and os.access(path.parent, os.W_OK | os.X_OK)):
        raise _no_permission(path, str(target))


def _no_permission(path: Path, what: str) -> CheckpointWriteError:
    return CheckpointWriteError(
        f"The checkpoint {path} cannot be written: no permission for {what}. No fold "
        "has been run. Give a 'checkpoint' in a directory that you can write to."
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
