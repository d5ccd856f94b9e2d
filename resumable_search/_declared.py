"""What users declare because no key can see it: files, and a name for the data."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ._keys.digests import digest
from ._keys.summaries import summarize
from ._records import SearchRecord

__all__ = ["data_shape", "dependencies", "require_same_data"]

_CHUNK_BYTES = 1 << 20


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


def require_same_data(search: SearchRecord, others: Sequence[SearchRecord]) -> None:
    """Refuse a name for the data that other data had before.

    Raises
    ------
    ValueError
        If a search in the checkpoint used the same ``data_key`` for data of another
        type, shape or dtype.
    """
    now = search.parts.get("data", {})
    if "data_key" not in now:
        return
    for other in others:
        then = other.parts.get("data", {})
        if then.get("data_key") != now["data_key"]:
            continue
        for name in ("X", "y"):
            if then[name][1] != now[name][1]:
                raise ValueError(
                    f"The 'data_key' parameter of {search.kind} must be a name for "
                    f"one set of data. Got {now['data_key'][1]} with {name} as "
                    f"{now[name][1]}, but search {other.number} in the checkpoint had "
                    f"{then[name][1]} under that name. Give other data another name, "
                    "or leave 'data_key' out."
                )
