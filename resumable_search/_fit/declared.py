"""What users declare because no key can see it: files, and a name for the data."""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from .._checkpoint.relatives import about_equal
from .._keys.digests import digest
from .._keys.summaries import summarize
from .._records import SearchRecord
from .._texts import inert

__all__ = ["data_shape", "dependencies", "require_same_data"]

_CHUNK_BYTES = 1 << 20

# Far more than what other processors or float32 make of the same data.
_ALIKE = 1e-3


def dependencies(
    paths: Sequence[str | os.PathLike[str]] | None, owner: str
) -> dict[str, tuple[str, str]]:
    """Return path -> (key of its content, text) of declared files and directories.

    In the order of the paths, so that two files that swap their contents are seen. Of
    a directory count the relative names and contents of all files, except in
    ``__pycache__``.

    Parameters
    ----------
    paths : sequence of str or path-like, or None
        As the user gave them.
    owner : str
        Name of the search class, for errors.

    Raises
    ------
    FileNotFoundError
        If there is nothing at a path.
    """
    found = {}
    for path in sorted(map(Path, paths or ())):
        if not path.exists():
            raise FileNotFoundError(
                f"The 'depends_on' parameter of {owner} must be paths of files and "
                f"directories that exist. Got {str(path)!r}, and there is nothing at "
                f"{path.absolute()}. Relative paths start from the current directory."
            )
        files = [(f, f.relative_to(path).as_posix()) for f in _files(path)]
        parts = [part for f, name in files for part in (name, _content(f))]
        text = "file" if path.is_file() else f"directory of {len(files)} files"
        found[str(path)] = digest(path.name, *parts), text
    return found


def _files(path: Path) -> Iterator[Path]:
    """Yield a file, or all files below a directory, in the order of their names."""
    if not path.is_dir():
        yield path
        return
    for child in sorted(path.iterdir()):
        # A link to a directory may lead back up; it is told by where it leads.
        if child.is_dir() and not child.is_symlink():
            if child.name != "__pycache__":
                yield from _files(child)
        else:
            yield child


def _content(file: Path) -> str:
    if not file.is_file():
        return f"link to {file.readlink()}" if file.is_symlink() else "special file"
    content = hashlib.blake2b(digest_size=16)
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            content.update(chunk)
    return content.hexdigest()


def data_shape(value: Any) -> str:
    """Describe type, shape and dtype of data, and nothing of its content."""
    if hasattr(type(value), "shape") or not hasattr(value, "__len__"):
        return summarize(value)
    return f"{type(value).__name__} of {len(value)}"


def require_same_data(
    search: SearchRecord,
    others: Sequence[SearchRecord],
    details: Callable[[int], dict[str, dict[str, tuple[str, str]]]],
) -> None:
    """Refuse a name for the data that other data had before, where that can be seen.

    Parameters
    ----------
    search : SearchRecord
        The one that starts.
    others : sequence of SearchRecord
        All in the checkpoint, the newest first.
    details : callable
        Returns the details of a search by its number.

    Raises
    ------
    ValueError
        If a search in the checkpoint used the same ``data_key`` for data of another
        type, shape or dtype, or with clearly other values.
    """
    now = search.parts.get("data", {})
    if "data_key" not in now:
        return
    for other in others:
        then = other.parts.get("data", {})
        if then.get("data_key") != now["data_key"]:
            continue
        samples = details(other.number).get("sample", {})
        for name in ("X", "y"):
            had, has = (t.get(name, ("", "?"))[1] for t in (then, now))
            old, new = samples.get(name), search.details.get("sample", {}).get(name)
            if had == has and old and new and not about_equal(old[1], new[1], _ALIKE):
                had = "clearly other values"
            if had != has:
                raise ValueError(
                    f"The 'data_key' parameter of {search.kind} must be a name for "
                    f"one set of data. Got {now['data_key'][1]} with {name} as "
                    f"{has}, but search {other.number} in the checkpoint had "
                    f"{inert(had)} under that name. Give other data another name, or "
                    "leave 'data_key' out."
                )
        return  # the others were compared with it
