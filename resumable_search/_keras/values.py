"""What a fit of a Keras model has for itself: seeds, and copies of Keras objects.

A Keras optimizer belongs to the first model that it trains, and metrics, layers
and seed generators keep a state. So no fit uses such an object itself that is a
parameter of an estimator: it makes a copy, from the object's configuration. The
object of the parameter never changes, and clones of the estimator can share it.

Nothing here imports Keras before a fit does.
"""

import contextlib
import copy
import importlib
import inspect
import numbers
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from .copies import check_copy

__all__ = [
    "clone_model",
    "fresh_callbacks",
    "fresh_values",
    "holds_keras",
    "import_keras",
    "is_model",
    "map_keras",
    "seeded",
    "without_optimizer_state",
]


def import_keras() -> Any:
    """Import Keras: in a function, because this takes seconds and a GPU."""
    return importlib.import_module("keras")


@contextlib.contextmanager
def seeded(keras: Any, random_state: Any) -> Iterator[None]:
    """Seed everything for one fit, and give NumPy and Python theirs back."""
    if random_state is None:
        yield
        return
    if isinstance(random_state, numbers.Integral):
        check_random_state(random_state)  # for scikit-learn's error if < 0
        seed = int(random_state)
    else:
        seed = int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
    states = random.getstate(), np.random.get_state()
    try:
        keras.utils.set_random_seed(seed)
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])


def is_model(value: object) -> bool:
    """Tell a Keras model from a function, without importing Keras."""
    return hasattr(value, "get_compile_config") and not inspect.isclass(value)


def _is_keras(value: object) -> bool:
    """Return whether it is a Keras object with a configuration, without the import."""
    return (
        not inspect.isclass(value)
        and hasattr(value, "get_config")
        and any(
            base.__module__.split(".")[0] == "keras" for base in type(value).__mro__
        )
    )


def holds_keras(value: Any) -> bool:
    """Return whether a Keras object with a configuration is in it, at any depth."""
    if type(value) in (list, tuple):
        return any(holds_keras(item) for item in value)
    if type(value) is dict:
        return any(holds_keras(item) for item in value.values())
    return _is_keras(value)


def map_keras(
    value: Any,
    replace: Callable[[Any], Any],
    other: Callable[[Any], Any] = lambda item: item,
) -> Any:
    """Replace what is in lists, tuples and dicts: Keras objects, and the others."""
    if type(value) in (list, tuple):
        return type(value)(map_keras(item, replace, other) for item in value)
    if type(value) is dict:
        return {k: map_keras(item, replace, other) for k, item in value.items()}
    return replace(value) if _is_keras(value) else other(value)


def fresh_values(keras: Any, values: dict[str, Any]) -> dict[str, Any]:
    """Copy the Keras objects among the values, each one once.

    To be called after the seeds have been set: an object without a seed draws one
    when it is made.
    """
    copies: dict[int, Any] = {}

    def fresh(value: Any) -> Any:
        if id(value) not in copies:
            copies[id(value)] = _fresh(keras, value)
        return copies[id(value)]

    def other(value: Any) -> Any:
        if isinstance(value, keras.callbacks.Callback):
            return copy.deepcopy(value)
        # Keras layers refuse NumPy's scalars, which numpy.arange and scipy's
        # distributions give.
        return value.item() if isinstance(value, np.generic) else value

    return {name: map_keras(value, fresh, other) for name, value in values.items()}


def _fresh(keras: Any, value: Any) -> Any:
    """Copy one Keras object: as new, but with the weights that a layer has."""
    copied = _copied(keras, value)
    check_copy(value, copied)
    return copied


def _copied(keras: Any, value: Any) -> Any:
    try:
        if is_model(value):
            return clone_model(keras, value)
        if isinstance(value, keras.layers.Layer) and (
            value.weights or hasattr(value, "adapt")
        ):  # has learned what is not in its configuration
            return copy.deepcopy(value)
        if isinstance(value, keras.losses.Loss):
            return _copied_loss(keras, value)
        return type(value).from_config(value.get_config())
    except Exception as exc:
        exc.add_note(
            f"Each fit needs its own copy of a Keras object that is a parameter, and "
            f"{value!r} cannot be copied from its get_config(). Give its class a "
            "get_config that has every argument of its constructor, or make the "
            "object in the function that builds the model."
        )
        raise


def _copied_loss(keras: Any, loss: Any) -> Any:
    """Copy a loss by its attributes: it has no weights, and its class may be short."""
    kind: Any = type(loss)
    copied = kind.__new__(kind)
    for name, value in vars(loss).items():
        vars(copied)[name] = map_keras(
            value, lambda item: _fresh(keras, item), copy.deepcopy
        )
    return copied


def without_optimizer_state(value: Any) -> Any:
    """Replace a used optimizer by a new one, which pickle can write."""

    def unused(item: Any) -> Any:
        used = hasattr(item, "update_step") and getattr(item, "built", False)
        return type(item).from_config(item.get_config()) if used else item

    return map_keras(value, unused)


def fresh_callbacks(callbacks: Any) -> Any:
    """Make the callbacks of one fit, which share no state with another's."""
    if callable(callbacks):
        return callbacks()
    try:
        return copy.deepcopy(callbacks)
    except TypeError as exc:
        exc.add_note(
            "Each fit needs its own copy of the Keras callbacks, and one of these "
            "cannot be copied. Pass a function that returns them as 'callbacks'."
        )
        raise


def clone_model(keras: Any, model: Any) -> Any:
    """Copy a model with its weights and, if it is compiled, a fresh optimizer."""
    copied = keras.models.clone_model(model)
    if model.built:
        copied.set_weights(model.get_weights())
    if model.compiled:  # again, because old releases of clone_model do not
        copied.compile_from_config(model.get_compile_config())
    return copied
