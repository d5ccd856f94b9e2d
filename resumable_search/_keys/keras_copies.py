"""What a copy of a Keras object has otherwise than the original.

Keras copies an object from what its ``get_config`` returns. What that leaves out is
lost: the copy has the defaults.
"""

import inspect
from collections.abc import Iterator
from typing import Any, NamedTuple

from .._exceptions import FingerprintError
from .fingerprint import fingerprint
from .keras_attributes import is_users, keras_attributes, own_attributes
from .keras_objects import is_keras


class Difference(NamedTuple):
    """An attribute that is another one in a copy.

    Attributes
    ----------
    owner : object
        What has the attribute, in the original.
    name : str
        Of the attribute.
    value, found : object
        In the original, and in the copy.
    """

    owner: Any
    name: str
    value: Any
    found: Any


def differences(
    original: Any, copied: Any, *, also_set_later: bool = False
) -> Iterator[Difference]:
    """Find attributes that a copy has otherwise.

    Parameters
    ----------
    original, copied : object
        A Keras object, or values with such objects in them.
    also_set_later : bool, default=False
        Whether to look at all objects of the user's classes, and not only at those
        whose class does not tell Keras of all arguments of its constructor.

    Yields
    ------
    difference : Difference
        An attribute that is not Keras's.
    """
    return _differences(original, copied, also_set_later, {})


def _differences(
    original: Any, copied: Any, every: bool, seen: dict[int, Any]
) -> Iterator[Difference]:
    if id(original) in seen or original is copied:
        return
    seen[id(original)] = original
    if isinstance(original, dict) and isinstance(copied, dict):
        for key, value in original.items():
            if key in copied:
                yield from _differences(value, copied[key], every, seen)
    elif isinstance(original, list | tuple) and isinstance(copied, list | tuple):
        for value, other in zip(original, copied, strict=False):
            yield from _differences(value, other, every, seen)
    elif type(original) is type(copied) and is_keras(type(original)):
        if is_users(type(original)):
            names = lost_arguments(original)
            if names or every:
                yield from _own_differences(original, copied, names, every)
        own, others = own_attributes(original), own_attributes(copied)
        for name, value in own.items():
            yield from _differences(value, others.get(name), every, seen)
        held, also = list(keras_attributes(original)), list(keras_attributes(copied))
        if len(held) == len(also):
            yield from _differences(held, also, every, seen)


def _own_differences(
    original: Any, copied: Any, lost: set[str], every: bool
) -> Iterator[Difference]:
    others = own_attributes(copied)
    # What the constructor was given first, then what it made of that.
    attributes = sorted(
        own_attributes(original).items(), key=lambda item: item[0] not in lost
    )
    for name, value in attributes:
        if hasattr(value, "assign"):  # weights are copied later
            continue
        if name not in others and not every:
            continue
        if holds_keras(value):
            continue  # gone through one by one
        try:
            mine, its = map(_untracked, (value, others.get(name)))
            same = fingerprint(mine) == fingerprint(its)
        except FingerprintError:
            continue
        if not same:
            yield Difference(original, name, value, others.get(name))


def _untracked(value: Any) -> Any:
    """Replace the containers that Keras has put into the place of Python's."""
    if isinstance(value, dict):
        return {key: _untracked(item) for key, item in value.items()}
    if type(value) is tuple:
        return tuple(map(_untracked, value))
    if isinstance(value, list):
        return list(map(_untracked, value))
    return set(value) if isinstance(value, set) else value


def holds_keras(value: Any) -> bool:
    """Return whether a value is a Keras object, or has one in it."""
    if isinstance(value, dict):
        return any(map(holds_keras, value.values()))
    if isinstance(value, list | tuple):
        return any(map(holds_keras, value))
    return is_keras(type(value)) and not isinstance(value, dict | list)


def lost_arguments(value: Any) -> set[str]:
    """Return the arguments of the constructor that the configuration has not."""
    try:
        parameters = inspect.signature(type(value).__init__).parameters
        config = value.get_config()
    except (TypeError, ValueError, NotImplementedError):
        return set()
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    names = {name for name, p in parameters.items() if p.kind not in kinds}
    return names - {"self"} - set(config)
