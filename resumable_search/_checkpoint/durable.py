"""Names in directories that outlive a loss of power.

A new file survives when its content is synced, which SQLite does, and when the
directory that names it is synced too, and the directory that names that one.
"""

import errno
import os
from pathlib import Path

__all__ = ["make_directories", "sync_directory"]

# The file system has no such thing, and nothing can be done about it.
_NOT_SUPPORTED = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS}


def make_directories(directory: Path, mode: int = 0o777) -> None:
    """Make a directory with a mode, and those above it that are missing."""
    missing = [d for d in (directory, *directory.parents) if not d.exists()]
    directory.mkdir(mode, parents=True, exist_ok=True)
    for made in reversed(missing):
        sync_directory(made.parent)
    if not missing:  # by a process that was killed before it could sync it, perhaps
        sync_directory(directory.parent)


def sync_directory(directory: Path) -> None:
    """Have the names in a directory written to the disk."""
    try:
        number = os.open(directory, os.O_RDONLY)
    except PermissionError:  # Windows never lets one be opened
        return
    try:
        os.fsync(number)
    except OSError as exc:
        if exc.errno not in _NOT_SUPPORTED:
            raise
    finally:
        os.close(number)
