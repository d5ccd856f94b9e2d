"""Objects of which code reads single attributes, such as a script's ``args``.

Where all that code does with a name is to read ``args.rate``, nothing else in the
object can change what it computes: as long as attributes are read, set and pickled as
in any object.
"""

import inspect
import types
from typing import Any

from .encoding import encode_str, node
from .instances import encode_instance
from .walk import Walk

_HOW_ATTRIBUTES_WORK = (
    *("__getattribute__", "__setattr__", "__delattr__"),
    *("__reduce__", "__reduce_ex__", "__getstate__", "__setstate__"),
)
_PLAIN = (object, types.SimpleNamespace)


def encode_held(
    walk: Walk, label: str, value: object, tails: set[tuple[str, ...]]
) -> bytes:
    """Key a value that travels with the code that holds it.

    Parameters
    ----------
    walk : Walk
        The walk.
    label : str
        What error messages call the value.
    value : object
        The value.
    tails : set of tuple of str
        The attributes that follow its name in the code; () where it is used by itself.

    Returns
    -------
    bytes
        Of the attributes that the code reads, if it can read no others.
    """
    names = _fields(walk, value, tails)
    if names is None:
        return walk.child(label, value)
    parts: list[bytes] = []
    for name in names:
        field = vars(value)[name]
        parts += encode_str(name), walk.child(f"{label}.{name}", field)
    return node(b"fields", parts)


def _fields(walk: Walk, value: object, tails: set[tuple[str, ...]]) -> list[str] | None:
    kind: Any = type(value)
    if () in tails or walk.handler_of(kind) is not encode_instance:
        return None
    for name in _HOW_ATTRIBUTES_WORK:
        found = getattr(kind, name, None)
        if all(found is not getattr(plain, name, None) for plain in _PLAIN):
            return None
    own = getattr(value, "__dict__", None)
    names = sorted({tail[0] for tail in tails})
    if type(own) is not dict or not all(name in own for name in names):
        return None
    for name in names:
        descriptor = type(inspect.getattr_static(kind, name, None))
        if hasattr(descriptor, "__set__") or hasattr(descriptor, "__delete__"):
            return None  # a property
    return names
