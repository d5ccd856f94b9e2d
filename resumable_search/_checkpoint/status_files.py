"""What a running search says of itself, in a small file beside its lock.

The process that holds the lock writes it, others read it: the command line, a
dashboard. It is never needed: a search whose file cannot be written goes on without.
It is input from anybody, like the checkpoint: what is read is checked.
"""

import contextlib
import dataclasses
import json
import os
import socket
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .._records import LiveStatus, LiveWorker

__all__ = ["read_status", "remove_status", "write_status"]

# Seconds after which a status that nobody renews is that of a search that ended.
_STALE_AFTER = 60.0

# Far more than the workers of any machine need.
_MOST_BYTES = 1 << 20

_MOST_COUNT = 2**63
_YEAR_9999 = 253_402_300_799  # the last second that Python can show


def write_status(checkpoint: Path, key: str, status: LiveStatus) -> None:
    """Say how a search is; where that cannot be written, say nothing.

    Parameters
    ----------
    checkpoint : pathlib.Path
        The checkpoint of the search.
    key : str
        Key of the search. The caller holds its lock.
    status : LiveStatus
        What to say. It replaces what was said before, at once: readers see the one
        or the other.
    """
    path = _path(checkpoint, key)
    aside = path.with_name(f"{path.name}.new")
    content = json.dumps(dataclasses.asdict(status)).encode()
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        with open(os.open(aside, flags, 0o600), "wb") as file:  # noqa: PTH123 - flags
            file.write(content)
        aside.replace(path)
    except OSError:  # the disk is full, say
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)


def remove_status(checkpoint: Path, key: str) -> None:
    """Say that nobody runs the search any more."""
    path = _path(checkpoint, key)
    for file in (path, path.with_name(f"{path.name}.new")):
        with contextlib.suppress(OSError):
            file.unlink(missing_ok=True)


def read_status(checkpoint: Path, key: str) -> LiveStatus | None:
    """Return what a running search says of itself.

    Parameters
    ----------
    checkpoint : pathlib.Path
        The checkpoint of the search.
    key : str
        Key of the search.

    Returns
    -------
    status : LiveStatus or None
        None if nobody runs the search: there is no status, or one that a killed
        process left (it is gone from this host, or has been silent for a minute),
        or something that is no status.
    """
    if not key.isalnum():  # no key; nor may it lead elsewhere
        return None
    try:
        content = json.loads(_read(_path(checkpoint, key)))
        fields = _checked(content, _STATUS_FIELDS)
        workers = [
            LiveWorker(**_checked(worker, _WORKER_FIELDS))
            for worker in content.get("workers", [])
        ]
        status = LiveStatus(**fields, workers=tuple(workers))
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    return status if _is_alive(status) else None


def _path(checkpoint: Path, key: str) -> Path:
    return checkpoint.with_name(f".{checkpoint.name}.locks") / f"{key}.status"


def _read(path: Path) -> bytes:
    # A pipe or a device in its place could keep the reader for ever.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(descriptor, "rb") as file:  # noqa: PTH123 - flags
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("This is no file.")
        content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise ValueError("This is too large for a status.")
    return content


def _is_alive(status: LiveStatus) -> bool:
    # A clock that runs ahead would keep a dead search alive as well.
    if abs(time.time() - status.updated) > _STALE_AFTER:
        return False
    if status.host != socket.gethostname():
        return True
    try:
        os.kill(status.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is there, and somebody else's
        return True
    return True


# ---------------------------------------------------------------------------
# What the fields may be


def _checked(content: Any, fields: dict[str, Callable[[Any], bool]]) -> dict[str, Any]:
    """Return the known ones among the fields; a later version may write others."""
    if not isinstance(content, dict):
        raise TypeError("This is no table.")
    known = {name: content[name] for name in fields if name in content}
    for name, value in known.items():
        if not fields[name](value):
            raise ValueError(f"{name!r} cannot be {value!r}.")
    return known


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < _MOST_COUNT


def _is_pid(value: Any) -> bool:
    return type(value) is int and 0 < value < 2**31


def _is_time(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= _YEAR_9999


def _is_score(value: Any) -> bool:
    return type(value) is float or _is_count(abs(value) if type(value) is int else None)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_table_of_texts(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_text, value.values()))


def _or_none(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or check(value)


_STATUS_FIELDS = {
    "pid": _is_pid,
    "host": _is_text,
    "started": _is_time,
    "updated": _is_time,
    "n_total": _is_count,
    "n_done": _is_count,
    "n_resumed": _is_count,
    "n_failed": _is_count,
    "metric": _is_text,
    "best_score": _or_none(_is_score),
    "best_parameters": _or_none(_is_table_of_texts),
    "seconds_left": _or_none(_is_time),
}

_WORKER_FIELDS = {
    "number": _is_count,
    "pid": _or_none(_is_pid),
    "device": _or_none(_is_text),
    "candidate": _or_none(_is_count),
    "parameters": _is_table_of_texts,
    "split": _or_none(_is_count),
    "attempt": _is_count,
    "started": _or_none(_is_time),
    "epoch": _or_none(_is_count),
    "n_epochs": _or_none(_is_count),
    "epoch_seconds": _or_none(_is_time),
}
