"""Copying a checkpoint, also while a search writes to it."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from .._exceptions import CheckpointError, CheckpointWriteError
from .durable import sync_directory
from .errors import damaged, require_file, translated
from .reader import connect_to_read
from .removal import copied, put
from .schema import check_filled
from .strangers import beside, check_journal, check_pages

__all__ = ["copy_checkpoint"]

_LOGS = ("-wal", "-shm", "-journal")


def copy_checkpoint(source: Path, target: Path, *, replace: bool = False) -> None:
    """Copy a checkpoint as it is at one moment, with all that was stored by then.

    The copy is whole or not there at all, on the disk when this returns, and its
    owner's alone. The files of unfinished fits stay behind.

    Parameters
    ----------
    source : Path
        The checkpoint, of any format. It is not changed.
    target : Path
        The file to make. Its directory is made too.
    replace : bool
        Whether a file that is there is replaced.

    Raises
    ------
    CheckpointError
        If `source` cannot be read, or `target` is there or may not be replaced.
    CheckpointFormatError
        If `source` is no checkpoint, is damaged or empty.
    CheckpointWriteError
        If `target` cannot be written.
    """
    require_file(source)
    check_journal(source)
    with _said(source, target):
        _check_target(source, target, replace=replace)
        with _opened(source) as db, copied(db, target) as copy:
            _put(copy, source, target, replace=replace)


def _put(copy: Path, source: Path, target: Path, *, replace: bool) -> None:
    _check_target(source, target, replace=replace)  # again: it may have taken a while
    for ending in _LOGS:  # empty ones, of who has read the file before
        beside(target, ending).unlink(missing_ok=True)
    if replace:
        copy.replace(target)
        sync_directory(target.parent)
        return
    try:
        put(copy, target)
    except FileExistsError:
        _check_target(source, target, replace=False)
        raise


def _check_target(source: Path, target: Path, *, replace: bool) -> None:
    if target.name.endswith(_LOGS):
        raise CheckpointError(
            f"The copy cannot be {target}: names that end in {', '.join(_LOGS)} are "
            "those of files that SQLite keeps beside another one. Give another path."
        )
    if target.exists() and target.samefile(source):
        raise CheckpointError(
            f"The checkpoint {source} cannot be copied to itself. Give another path."
        )
    if target.exists() and not replace:
        raise CheckpointError(
            f"The file {target} is there already, and was not touched. Give another "
            "path, or replace it (--replace)."
        )
    # SQLite would take such a file for the log of the copy.
    for log in (beside(target, "-wal"), beside(target, "-journal")):
        if log.exists() and log.stat().st_size:
            raise CheckpointError(
                f"The file {log} is there: a search writes to {target}, or was killed "
                "when it did. Neither was touched. Give another path."
            )


@contextlib.contextmanager
def _opened(source: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.ExitStack() as until_end:
        with translated(source):
            db = until_end.enter_context(contextlib.closing(connect_to_read(source)))
            check_filled(db, source)
            check_pages(db, source)
        yield db


@contextlib.contextmanager
def _said(source: Path, target: Path) -> Iterator[None]:
    """Say what an error means for the copy."""
    try:
        yield
    except (OSError, sqlite3.OperationalError) as exc:
        raise CheckpointWriteError(
            f"The copy {target} cannot be written ({exc}). Nothing was changed. See "
            f"that {target.parent} is a directory that you can write to, and has room "
            "for it."
        ) from exc
    except sqlite3.DatabaseError as exc:
        raise damaged(source, str(exc)) from exc
