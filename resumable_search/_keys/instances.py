"""Keys of instances of any class: by the state that pickle would store."""

import copyreg
from typing import Any

import numpy as np

from .encoding import encode_str, node
from .held import name_in_library, name_of_global
from .library_code import is_library, resolves
from .relevance import counted
from .walk import Unkeyable, Walk


def encode_instance(walk: Walk, value: Any) -> bytes:
    """Key an instance by its class and the state that pickle would store.

    What has no such state counts by the name under which a library holds it.
    """
    place = name_of_global(value)
    if place is not None:
        return walk.library(b"global", *place)
    n_before = walk.n_numbered()
    try:
        return _encode_by_state(walk, value)
    except Unkeyable:
        place = name_in_library(value)
        if place is None:
            raise
        walk.forget_numbers(n_before)
        return walk.library(b"global", *place)


def _encode_by_state(walk: Walk, value: Any) -> bytes:
    try:
        special = _reducer_of(type(value))
        reduced = special(value) if special else value.__reduce_ex__(4)
    except Exception as error:
        raise Unkeyable(value, f"it cannot be pickled ({error})") from error
    if isinstance(reduced, str):
        return _encode_global(walk, value, reduced)
    rebuild, args, state, items, pairs = (*reduced, None, None, None)[:5]
    if rebuild is copyreg.__newobj_ex__:  # type: ignore[attr-defined]
        rebuild, args = copyreg.__newobj__, (args[0], *args[1], args[2])  # type: ignore[attr-defined]
    return node(
        b"instance",
        (
            walk.encode(type(value)),
            walk.encode(rebuild),
            node(b"args", [walk.child("", argument) for argument in args]),
            _encode_state(walk, type(value), state),
            node(b"items", [walk.child("[...]", item) for item in items or ()]),
            node(b"pairs", walk.items(pairs or (), ordered=True)),
        ),
    )


def _reducer_of(cls: type) -> Any:
    """Return what is registered to reduce a class that may have no hash."""
    table = list(copyreg.dispatch_table.items())
    return next((function for base, function in table if base is cls), None)


def _encode_state(walk: Walk, kind: type, state: Any) -> bytes:
    if isinstance(state, tuple) and len(state) == 2:  # __dict__ and slots
        return node(b"state", [_encode_state(walk, kind, part) for part in state])
    if isinstance(state, dict) and all(isinstance(name, str) for name in state):
        return node(b"state", walk.attributes(counted(kind, state)))
    return walk.child(" -> state", state)


def _encode_global(walk: Walk, value: Any, name: str) -> bytes:
    """Key what pickle stores by its name, once it is sure that the name finds it.

    The user's own counts by its state too: the name may find another one by then.
    """
    places = [getattr(value, "__module__", None), type(value).__module__]
    if isinstance(value, np.ufunc):
        places += ["numpy", "scipy.special"]
    for place in places:
        if resolves(place, name, value):
            if is_library(place):
                return walk.library(b"global", place, name)
            walk.reach(place, name)
            parts = [walk.encode(type(value)), encode_str(name)]
            try:
                state = value.__getstate__()
            except Exception as error:
                raise Unkeyable(value, f"its state is not known ({error})") from error
            parts.append(_encode_state(walk, type(value), state))
            return node(b"global", parts)
    raise Unkeyable(value, f"no module is known to hold it under the name '{name}'")
