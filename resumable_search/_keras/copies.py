"""Whether the copy that a fit makes of a Keras object computes what the object does.

Keras copies an object from what its ``get_config`` returns. What that leaves out of the
constructor's arguments is lost, without a word: the copy has the defaults.
"""

import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np

from .._exceptions import FingerprintError
from .._keys.fingerprint import fingerprint, summarize
from .._keys.keras_attributes import is_users, keras_attributes, own_attributes
from .._keys.keras_objects import is_keras

__all__ = ["check_copy", "check_predictions"]


def check_copy(original: Any, copied: Any) -> None:
    """Refuse a copy that lacks what the constructor of a user's class was given.

    Raises
    ------
    ValueError
        If an attribute of the original, or of an object in it, is another in the
        copy, because its ``get_config`` leaves out an argument of the constructor.
    """
    for owner, name, value, found in _differences(original, copied, {}):
        kind = type(owner).__name__
        lost = sorted(_lost(owner)) or [name]
        raise ValueError(
            f"The get_config method of {kind} must return every argument of the "
            "constructor, because each fit works on a copy of the object that is made "
            f"from it. Got a copy whose attribute {name!r} is {summarize(found)} and "
            f"not {summarize(value)}. Missing from what get_config returns: {lost!r}. "
            f"Add to {kind}: def get_config(self): return {{**super().get_config(), "
            f"{lost[0]!r}: self.{lost[0]}}}. Or make the object in the function that "
            "builds the model."
        )


def _differences(
    original: Any, copied: Any, seen: dict[int, Any]
) -> Iterator[tuple[Any, str, Any, Any]]:
    """Find attributes that a copy has otherwise, in the objects of the user's."""
    if id(original) in seen or original is copied:
        return
    seen[id(original)] = original
    if isinstance(original, dict) and isinstance(copied, dict):
        for key, value in original.items():
            if key in copied:
                yield from _differences(value, copied[key], seen)
    elif isinstance(original, list | tuple) and isinstance(copied, list | tuple):
        for value, other in zip(original, copied, strict=False):
            yield from _differences(value, other, seen)
    elif type(original) is type(copied) and is_keras(type(original)):
        if is_users(type(original)) and (names := _lost(original)):
            yield from _own_differences(original, copied, names)
        own, others = own_attributes(original), own_attributes(copied)
        for name, value in own.items():
            yield from _differences(value, others.get(name), seen)
        held, also = list(keras_attributes(original)), list(keras_attributes(copied))
        if len(held) == len(also):
            yield from _differences(held, also, seen)


def _own_differences(
    original: Any, copied: Any, lost: set[str]
) -> Iterator[tuple[Any, str, Any, Any]]:
    others = own_attributes(copied)
    # What the constructor was given first, then what it made of that.
    attributes = sorted(
        own_attributes(original).items(), key=lambda item: item[0] not in lost
    )
    for name, value in attributes:
        if name not in others or hasattr(value, "assign"):  # weights are copied later
            continue
        if _holds_keras(value):
            continue  # gone through one by one
        try:
            same = fingerprint(value) == fingerprint(others[name])
        except FingerprintError:
            continue
        if not same:
            yield original, name, value, others[name]


def _holds_keras(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_holds_keras, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_holds_keras, value))
    return is_keras(type(value)) and not isinstance(value, dict | list)


def _lost(value: Any) -> set[str]:
    """Return the arguments of the constructor that the configuration has not."""
    try:
        parameters = inspect.signature(type(value).__init__).parameters
        config = value.get_config()
    except (TypeError, ValueError, NotImplementedError):
        return set()
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    names = {name for name, p in parameters.items() if p.kind not in kinds}
    return names - {"self"} - set(config)


def check_predictions(original: Any, copied: Any, sample: Any) -> None:
    """Refuse a copy of a model of the user's class that predicts otherwise.

    Raises
    ------
    ValueError
        If the two give different outputs for the same sample.
    """
    layers: list[Any] = getattr(original, "_flatten_layers", list)()
    if not original.built or not any(is_users(type(layer)) for layer in layers):
        return
    expected, found = (
        np.asarray(model(sample, training=False)) for model in (original, copied)
    )
    if expected.shape == found.shape and np.allclose(
        expected, found, rtol=1e-4, atol=1e-6, equal_nan=True
    ):
        return
    raise ValueError(
        f"A copy of the given model, of class {type(original).__name__}, must predict "
        "what the model does, because each fit trains a copy. Got other outputs for "
        "the first sample: the configuration or the weights leave out what the model "
        "computes with. Give the class, and those of its layers, a get_config with "
        "every argument of the constructor and keep what they learn in weights, or "
        "pass a function that builds the model."
    )
