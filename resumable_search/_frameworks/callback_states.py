"""What changed in the attributes of callbacks, taken and put back.

Callbacks keep what they have seen in attributes: how long nothing has improved, the
best score, the best weights. Those that are plain values (numbers, text, arrays;
lists, tuples and dicts of them) can be stored.
"""

import contextlib
from collections.abc import Collection, Iterator
from typing import Any

from . import state_files as _state_files
from .state_files import Named, UnsupportedValue

__all__ = ["changes", "digests", "set_attributes", "storable"]


def digests(callback: Any, named: Named, links: Collection[str]) -> dict[str, object]:
    """Return what tells the attributes of a callback from what they will be later.

    Parameters
    ----------
    callback : object
        The callback.
    named : mapping of str to object
        Functions that attributes may be, by name.
    links : collection of str
        Attributes that the framework sets.
    """
    found: dict[str, object] = {}
    for name, value in _attributes(callback, links):
        with contextlib.suppress(UnsupportedValue):
            found[name] = _state_files.digest(value, named)
    return found


def changes(
    callback: Any, before: dict[str, object], named: Named, links: Collection[str]
) -> dict[str, Any]:
    """Return the attributes that are not what they were when the fit began.

    The others are set by the new try itself, which may be right to have them
    different: the name of a temporary file, for instance.
    """
    found: dict[str, Any] = {}
    for name, value in _attributes(callback, links):
        with contextlib.suppress(UnsupportedValue):
            if before.get(name) != _state_files.digest(value, named):
                found[name] = value
    return found


def storable(values: dict[str, Any], named: Named) -> dict[str, Any]:
    """Return those of the values that can be stored."""
    found = {}
    for name, value in values.items():
        with contextlib.suppress(UnsupportedValue):
            _state_files.digest(value, named)
            found[name] = value
    return found


def set_attributes(callback: Any, values: dict[str, Any]) -> None:
    """Set attributes; a list or dict stays the object that others may hold too."""
    for name, value in values.items():
        present = callback.__dict__.get(name)
        if isinstance(present, list) and isinstance(value, list):
            present[:] = value
        elif isinstance(present, dict) and isinstance(value, dict):
            present.clear()
            present.update(value)
        else:
            callback.__dict__[name] = value


def _attributes(callback: Any, links: Collection[str]) -> Iterator[tuple[str, Any]]:
    """Return the attributes of a callback that may be plain values."""
    for name, value in getattr(callback, "__dict__", {}).items():
        if name not in links:
            # A defaultdict, say, by its content: the new try has its own.
            yield name, _content(value)


def _content(value: Any) -> Any:
    if isinstance(value, dict):
        return dict(value)
    return list(value) if isinstance(value, list) else value
