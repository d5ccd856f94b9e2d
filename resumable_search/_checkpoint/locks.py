"""One process at a time may run a search on a checkpoint."""

import contextlib
import json
import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from .._exceptions import CheckpointLockedError, CheckpointWriteError

__all__ = ["LockHolder", "SearchLock", "find_holder"]

# Seconds. Long enough for a holder that is just letting go.
_PATIENCE = 0.5


class SearchLock:
    """A lock of the operating system on one search in one checkpoint.

    It ends with the process that holds it, however that ends; nothing has to be
    cleaned up and no clock is involved. The file beside it says who holds it.

    Parameters
    ----------
    checkpoint : Path
        The checkpoint.
    key : str
        Key of the search.
    """

    def __init__(self, checkpoint: Path, key: str) -> None:
        self._checkpoint = checkpoint
        directory = checkpoint.with_name(f".{checkpoint.name}.locks")
        self._holder = directory / f"{key}.holder"
        self._path = directory / f"{key}.lock"
        self._lock = FileLock(self._path, mode=0o600)

    def acquire(self) -> None:
        """Take the lock, or raise `CheckpointLockedError` naming the holder."""
        try:
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            self._lock.acquire(timeout=_PATIENCE, poll_interval=0.05)
        except Timeout as exc:
            raise CheckpointLockedError(
                f"This search is already running on {self._checkpoint}, in "
                f"{self._describe_holder()}. Wait for it to finish, or stop it: what "
                "it has finished will be used. To run both, give this one another "
                "'checkpoint'."
            ) from exc
        except OSError as exc:
            raise CheckpointWriteError(
                f"The search cannot be locked in {self._path.parent}: {exc}. Give a "
                "'checkpoint' in a directory that you can write to."
            ) from exc
        holder = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": time.strftime("%Y-%m-%d %H:%M:%S"),
        }
        with contextlib.suppress(OSError):  # a full disk: only the name is lost
            self._holder.unlink(missing_ok=True)  # of one that was killed
            self._holder.touch(mode=0o600)
            self._holder.write_text(json.dumps(holder))

    def release(self) -> None:
        """Give the lock back."""
        if not self._lock.is_locked:
            return
        with contextlib.suppress(OSError):
            self._holder.unlink(missing_ok=True)
            # A process that opened the file before this and locks it afterwards
            # finds it gone, and makes a new one.
            self._path.unlink(missing_ok=True)
        self._lock.release()

    def _describe_holder(self) -> str:
        try:
            holder = json.loads(self._holder.read_text())
            return (
                f"process {holder['pid']} on {holder['host']} since {holder['since']}"
            )
        except (OSError, ValueError, KeyError):
            return "another process"


@dataclass(frozen=True, kw_only=True, slots=True)
class LockHolder:
    """The process that runs a search, or ran it until it was killed."""

    pid: int | None
    """None: it is not known."""
    host: str | None
    is_running: bool
    """False: it died before it could let go of the search."""


def find_holder(checkpoint: Path, key: str) -> LockHolder | None:
    """Tell who runs a search, or was killed while running it; None: nobody.

    Somebody who starts the search at this very moment has to wait for some
    milliseconds, no more.
    """
    if not key.isalnum():  # no key of ours; it could lead anywhere
        return None
    directory = checkpoint.with_name(f".{checkpoint.name}.locks")
    path = directory / f"{key}.holder"
    while True:
        before = _read_holder(path)
        is_running = _is_locked(directory / f"{key}.lock")
        after = _read_holder(path)
        if is_running:
            pid, host = after or before or (None, None)
            return LockHolder(pid=pid, host=host, is_running=True)
        if before == after:  # else it began or ended just now
            if after is None:
                return None
            return LockHolder(pid=after[0], host=after[1], is_running=False)


def _is_locked(path: Path) -> bool:
    if not path.exists():
        return False
    lock = FileLock(path, mode=0o600)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return True
    except OSError:  # nobody can lock there, so nobody does
        return False
    lock.release()
    return False


def _read_holder(path: Path) -> tuple[int, str] | None:
    try:
        holder = json.loads(path.read_text())
        return int(holder["pid"]), str(holder["host"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
