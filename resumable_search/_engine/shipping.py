"""Data for the workers: written once to files, mapped into memory by all of them.

A file holds one pickled object. Its large buffers (arrays, the blocks of a
DataFrame, the parts of a sparse matrix) follow the pickle unpickled, so that a
worker maps them instead of reading them, and ``k`` workers share one copy. The
mapping is copy-on-write: an estimator may change its data in place, and nobody
else sees it.

Files live in a directory of the process, readable by its owner alone. A lock on
the directory ends with the process, so what a killed process left behind is found
and removed by the next one.
"""

import contextlib
import mmap
import os
import pickle
import shutil
import stat
import struct
import tempfile
import weakref
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from . import pickling

__all__ = ["Workspace", "dump", "load"]

_PREFIX = "resumable_search-"
_LOCK_NAME = "owner.lock"
_ALIGNMENT = 64
_HEADER = struct.Struct("<QQ")  # length of the pickle, number of buffers
_LENGTH = struct.Struct("<Q")


def dump(value: object, path: Path) -> None:
    """Write `value` to `path`, its large buffers outside of the pickle."""
    buffers: list[pickle.PickleBuffer] = []
    pickled = pickling.dumps(value, buffers.append)
    views = [buffer.raw() for buffer in buffers]
    with path.open("wb") as file:
        file.write(_HEADER.pack(len(pickled), len(views)))
        for view in views:
            file.write(_LENGTH.pack(view.nbytes))
        file.write(pickled)
        for view in views:
            file.write(bytes(-file.tell() % _ALIGNMENT))
            file.write(view)


def load(path: str) -> Any:
    """Read what `dump` wrote, with its large buffers mapped copy-on-write."""
    with Path(path).open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    view = memoryview(mapped)
    pickle_length, n_buffers = _HEADER.unpack_from(view, 0)
    position = _HEADER.size
    lengths = [
        _LENGTH.unpack_from(view, position + i * _LENGTH.size)[0]
        for i in range(n_buffers)
    ]
    position += n_buffers * _LENGTH.size
    mapped.seek(position)
    position += pickle_length
    buffers = []
    for length in lengths:
        position += -position % _ALIGNMENT
        buffers.append(view[position : position + length])
        position += length
    return pickling.load(mapped, buffers)


class Workspace:
    """A directory for the files of one search, gone when the search is."""

    def __init__(self) -> None:
        parent = _parent_directory()
        remove_abandoned(parent)
        self.path, self._lock = _locked_directory(parent)
        self._n_files = 0
        self._finalizer = weakref.finalize(
            self, _remove, self.path, self._lock, os.getpid()
        )

    def put(self, value: object) -> str:
        """Write `value` to a new file and give its path."""
        path = self.path / f"{self._n_files}.pickle"
        self._n_files += 1
        try:
            dump(value, path)
        except OSError as exc:
            raise OSError(
                exc.errno,
                f"Could not write the data for the workers to {path} "
                f"({exc.strerror}; {shutil.disk_usage(self.path).free:,} bytes are "
                "free there). Free some space, or name another directory in the "
                "environment variable JOBLIB_TEMP_FOLDER.",
            ) from exc
        return str(path)

    def close(self) -> None:
        """Remove the directory."""
        self._finalizer()


def _locked_directory(parent: Path) -> tuple[Path, FileLock]:
    """Make a directory that this process holds."""
    while True:
        path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        lock = FileLock(path / _LOCK_NAME)
        try:
            lock.acquire(blocking=False)
        except (Timeout, FileNotFoundError, FileExistsError):
            # Another process took it for abandoned, in the moment before the lock, or
            # while the lock made sure that the directory exists.
            continue
        return path, lock


def _remove(path: Path, lock: FileLock, owner: int) -> None:
    # In a forked child this object is a copy: the directory is the parent's.
    if os.getpid() != owner or not lock.is_locked:
        return
    _clear(path)
    lock.release()


def _clear(directory: Path) -> None:
    """Remove a directory; a kill leaves one that the next process can remove."""
    with contextlib.suppress(OSError):
        for file in directory.iterdir():
            if file.name != _LOCK_NAME:
                file.unlink()
    shutil.rmtree(directory, ignore_errors=True)


def _parent_directory() -> Path:
    """Return the place for large temporary files, by joblib's convention."""
    if folder := os.environ.get("JOBLIB_TEMP_FOLDER"):
        place = Path(folder).expanduser().absolute()
        place.mkdir(parents=True, exist_ok=True)
        return place
    memory = Path("/dev/shm")  # noqa: S108 - mkdtemp makes a private directory
    with contextlib.suppress(OSError):
        # Containers often have 64 MB here.
        if os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 2**31:
            return memory
    return Path(tempfile.gettempdir())


def remove_abandoned(parent: Path) -> None:
    """Remove the directories of processes that are gone."""
    for directory in parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError, Timeout):
            status = directory.lstat()
            if status.st_uid != os.getuid() or not stat.S_ISDIR(status.st_mode):
                continue
            lock_file = directory / _LOCK_NAME
            if not lock_file.exists():
                # Of a process that was killed before the lock, or is before it now,
                # and makes another one then.
                directory.rmdir()
                continue
            with FileLock(lock_file, blocking=False):
                _clear(directory)
