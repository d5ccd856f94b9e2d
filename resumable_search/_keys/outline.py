"""What a value is made of, part by part, to say later what has changed in it.

A key tells that something has changed, and not what. The outline of a value lists the
functions, classes, globals, captured variables and defaults that its code reaches, each
with a key of what it is *by itself*. It explains and decides nothing: what has no key
here has an empty one.
"""

import collections
import hashlib
import inspect
import json
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .._exceptions import FingerprintError
from .cloning import encode_cloned
from .digests import digest
from .fingerprint import fingerprint
from .handlers import handler_of
from .summaries import summarize
from .walk import Unkeyable, Walk

__all__ = ["outline", "same_items", "sample"]

# Enough to name what has changed in any program but the largest.
_MOST_ENTRIES = 1000
# Of data: values that are kept, values that are summed, sums, and rows of a frame.
_N_SAMPLED = 64
_N_SUMMED = 1 << 16
_N_SUMS = 16
_N_ROWS = 1024

_Encoder = Callable[[Walk, Any], bytes]


class _OwnPart(Walk):
    """A walk that notes where code leads, and does not go there."""

    def __init__(self, path: str) -> None:
        super().__init__(handler_of)
        self._path = path
        self.found: list[tuple[str, Any, _Encoder | None]] = []

    def child(self, label: str, value: object, encode: _Encoder | None = None) -> bytes:
        """Note a value that code reaches; encode what is part of a container."""
        if not label.startswith(" -> "):
            return super().child(label, value, encode)
        self.found.append((f"{self._path}{label}", value, encode))
        return b"^"

    def member(
        self,
        module: str,
        name: str,
        label: str,  # noqa: ARG002 - the name is the same however it is reached
        value: object,
    ) -> bytes:
        """Note what a module or class has under a name."""
        self.found.append((f"{name} in {module}", value, None))
        return b"^"


def outline(values: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Return path -> (key of what is there by itself, text) of all that code reaches.

    Parameters
    ----------
    values : dict of str to object
        Estimators, scorers and other values by name.
    """
    found: dict[str, tuple[str, str]] = {}
    seen: dict[int, object] = {}
    todo = collections.deque[tuple[str, Any, _Encoder | None]](
        (name, value, encode_cloned) for name, value in values.items()
    )
    while todo and len(found) < _MOST_ENTRIES:
        path, value, encode = todo.popleft()
        if path in found:
            continue
        walk = _OwnPart(path)
        try:
            # What stands in two places is listed in both, and followed once.
            code = encode(walk, value) if encode else walk.encode(value)
        except (Unkeyable, RecursionError):
            code = b""
        key = hashlib.blake2b(code, digest_size=16).hexdigest() if code else ""
        found[path] = key, _described(value)
        if id(value) not in seen:
            seen[id(value)] = value
            todo.extend(walk.found)
    return found


def _described(value: object) -> str:
    text = summarize(value)
    if isinstance(value, types.FunctionType):
        place = value.__code__
        return f"{text} ({Path(place.co_filename).name}, line {place.co_firstlineno})"
    if isinstance(value, type):
        try:
            return f"{text} ({Path(inspect.getfile(value)).name})"
        except (TypeError, OSError):
            return text
    return text


def same_items(value: object) -> str:
    """Return a key of a list's or tuple's items in any order; "" for other values."""
    if type(value) not in (list, tuple) or not 1 < len(value) <= 100_000:  # type: ignore[arg-type]
        return ""
    try:
        return digest(*sorted(map(fingerprint, value)))  # type: ignore[call-overload]
    except FingerprintError:
        return ""


def sample(value: Any) -> str:
    """Return a text with some values of numeric data, and sums of more of them.

    It tells whether two sets of data are about equal. "" for what is no such data.
    """
    try:
        if hasattr(value, "iloc"):
            rows = np.linspace(0, len(value) - 1, min(_N_ROWS, len(value))).astype(int)
            value = value.iloc[rows].select_dtypes("number").to_numpy()
        array = value if isinstance(value, np.ndarray) else np.asarray(value)
        if array.dtype.kind not in "fiu" or not array.size:
            return ""
    except Exception:  # whatever an array-like does
        return ""
    n = min(_N_SUMMED, array.size)
    chosen = np.asarray(array.flat[np.linspace(0, array.size - 1, n).astype(int)])
    chosen = chosen.astype(np.float64)
    with np.errstate(all="ignore"):
        groups = np.array_split(chosen, min(_N_SUMS, n))
        sums = [float(group.sum()) for group in groups]
        sizes = [float(np.abs(group).sum()) for group in groups]
    return json.dumps([chosen[:: max(1, n // _N_SAMPLED)].tolist(), sums, sizes])
