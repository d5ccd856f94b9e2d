"""Whether the copy that a fit makes of a Keras object computes what the object does.

Keras copies an object from what its ``get_config`` returns. What that leaves out of the
constructor's arguments is lost, without a word: the copy has the defaults.
"""

from typing import Any

import numpy as np

from .._keys.fingerprint import summarize
from .._keys.keras_attributes import is_users
from .._keys.keras_copies import differences, lost_arguments

__all__ = ["check_copy", "check_predictions"]


def check_copy(original: Any, copied: Any) -> None:
    """Refuse a copy that lacks what the constructor of a user's class was given.

    Raises
    ------
    ValueError
        If an attribute of the original, or of an object in it, is another in the
        copy, because its ``get_config`` leaves out an argument of the constructor.
    """
    for owner, name, value, found in differences(original, copied):
        kind = type(owner).__name__
        lost = sorted(lost_arguments(owner)) or [name]
        raise ValueError(
            f"The get_config method of {kind} must return every argument of the "
            "constructor, because each fit works on a copy of the object that is made "
            f"from it. Got a copy whose attribute {name!r} is {summarize(found)} and "
            f"not {summarize(value)}. Missing from what get_config returns: {lost!r}. "
            f"Add to {kind}: def get_config(self): return {{**super().get_config(), "
            f"{lost[0]!r}: self.{lost[0]}}}. Or make the object in the function that "
            "builds the model."
        )


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
