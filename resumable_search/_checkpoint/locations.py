"""Where the checkpoint is when the user does not say."""

import os
import re
import warnings
from pathlib import Path

import platformdirs

from .._exceptions import (
    CheckpointAddressError,
    CheckpointLocationWarning,
    CheckpointWriteError,
)
from .durable import make_directories

__all__ = ["ENVIRONMENT_VARIABLE", "find_checkpoint", "resolve_checkpoint"]

#: Names the checkpoint where the ``checkpoint`` parameter does not.
ENVIRONMENT_VARIABLE = "RESUMABLE_SEARCH_CHECKPOINT"

#: What would make a directory named "s3:", which is lost with the machine. `Path` has
#: made one slash of two.
_ADDRESS = re.compile(
    r":memory:$|[a-z][a-z0-9+.-]+://"
    r"|(abfss?|file|ftp|gs|hdfs|https?|mongodb|mysql|postgres(ql)?|redis|s3|sqlite):",
    re.IGNORECASE,
)

_DIRECTORY = ".resumable_search"
_FILE = "checkpoint.sqlite"


def resolve_checkpoint(checkpoint: str | os.PathLike[str] | None) -> Path:
    """Return the absolute path of the checkpoint, and make its directory.

    Parameters
    ----------
    checkpoint : str, path-like or None
        What the user gave. None: the environment variable, else the default
        place in the current directory, else (where that cannot be written) in
        the user's cache directory.

    Returns
    -------
    path : pathlib.Path
        Its directory exists.

    Raises
    ------
    CheckpointWriteError
        If the directory cannot be made.
    CheckpointAddressError
        If it is an address, such as ``s3://bucket/checkpoint.sqlite``.
    """
    path = _given(checkpoint)
    if path is not None:
        _make(path.parent, path)
        return path
    here = Path(_DIRECTORY).resolve()
    try:
        _make_default(here)
    except OSError as exc:
        there = platformdirs.user_cache_path("resumable_search")
        _make(there, there / _FILE)
        warnings.warn(
            f"The current directory cannot be written ({exc}), so the checkpoint is "
            f"{there / _FILE}. To choose the place, give the 'checkpoint' parameter "
            f"or set the environment variable {ENVIRONMENT_VARIABLE}.",
            CheckpointLocationWarning,
            stacklevel=2,
        )
        return there / _FILE
    return here / _FILE


def find_checkpoint(checkpoint: str | os.PathLike[str] | None) -> Path:
    """Return the path that `resolve_checkpoint` would, and make nothing."""
    path = _given(checkpoint)
    if path is not None:
        return path
    here = (Path(_DIRECTORY) / _FILE).resolve()
    there = platformdirs.user_cache_path("resumable_search") / _FILE
    return there if there.exists() and not here.exists() else here


def _given(checkpoint: str | os.PathLike[str] | None) -> Path | None:
    given = checkpoint or os.environ.get(ENVIRONMENT_VARIABLE)
    if not given:
        return None
    if _ADDRESS.match(os.fspath(given)):
        what = (
            "'checkpoint' parameter"
            if checkpoint
            else f"variable {ENVIRONMENT_VARIABLE}"
        )
        raise CheckpointAddressError(
            f"The {what} must be the path of a file on this machine. Got "
            f"{os.fspath(given)!r} instead, which is an address. Give a path on a "
            "disk that outlasts the machine; a mounted bucket has one too."
        )
    return Path(given).expanduser().resolve()


def _make(directory: Path, path: Path) -> None:
    try:
        make_directories(directory)
    except OSError as exc:
        raise CheckpointWriteError(
            f"The directory of the checkpoint {path} cannot be made: {exc}. Give a "
            "'checkpoint' in a directory that you can write to."
        ) from exc


def _make_default(directory: Path) -> None:
    make_directories(directory, 0o700)
    if not os.access(directory, os.W_OK | os.X_OK):
        raise PermissionError(f"no permission to write to {directory}")
    ignore = directory / ".gitignore"
    if not ignore.exists():
        ignore.write_text("# Checkpoints of resumable_search.\n*\n")
