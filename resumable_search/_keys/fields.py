"""Objects of which code reads single attributes, such as a script's ``args``.

Where all that code does with a name is to read ``args.rate``, nothing else in the
object can change what it computes: as long as attributes are read, set and pickled as
in any object. In a module of the user's, the object needs a key as a whole besides.
"""

import inspect
import types
from typing import Any

from .encoding import encode_str, node
from .instances import encode_instance
from .walk import Unkeyable, Walk

_HOW_ATTRIBUTES_WORK = (
    *("__getattribute__", "__setattr__", "__delattr__"),
    *("__reduce__", "__reduce_ex__", "__getstate__", "__setstate__"),
)
_PLAIN = (object, types.SimpleNamespace)

# By id, in the memo of a walk: the objects it has met, and whether they have keys.
_OBJECTS_WITH_KEYS = "objects with keys"


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


def encode_held_member(
    walk: Walk,
    module: str,
    name: str,
    label: str,
    value: object,
    tails: set[tuple[str, ...]],
) -> bytes:
    """Key a value that a module of the user's has, likewise.

    A worker, which imports the module, compares all of the value with what it finds
    there. So the value counts whole where it has no key as a whole.

    Parameters
    ----------
    walk : Walk
        The walk.
    module, name : str
        Where the value is.
    label : str
        What error messages call the value.
    value : object
        The value.
    tails : set of tuple of str
        As in `encode_held`.
    """
    names = _fields(walk, value, tails) if walk.reads_fields else None
    if names is None or not _has_key(walk, value):
        return walk.member(module, name, label, value)
    parts: list[bytes] = []
    for field in names:
        place, inner = (module, f"{name}.{field}"), vars(value)[field]
        parts += encode_str(field), walk.member(*place, f"{label}.{field}", inner)
    return node(b"fields", parts)


def _has_key(walk: Walk, value: object) -> bool:
    known = walk.memo.setdefault(_OBJECTS_WITH_KEYS, {})
    if id(value) not in known:
        # Until more is known: its own methods may read it by its name.
        known[id(value)] = value, True
        whole = walk.fresh()
        whole.memo[_OBJECTS_WITH_KEYS] = known
        try:
            whole.finish(whole.encode(value))
        except Unkeyable:
            known[id(value)] = value, False
    return bool(known[id(value)][1])


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
