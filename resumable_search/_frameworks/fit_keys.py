"""What a Keras fit is told apart by from the other fits of its fold."""

import itertools
import json
import warnings
from collections.abc import Iterator
from typing import Any

from .._keys.fingerprint import digest, fingerprint

__all__ = ["fit_key", "is_continuous"]

# Arguments that are part of what a fit is found by, as they are ...
_ARGUMENTS = (
    "batch_size",
    "epochs",
    "validation_split",
    "shuffle",
    "class_weight",
    "initial_epoch",
    "steps_per_epoch",
    "validation_steps",
    "validation_batch_size",
    "validation_freq",
)
# ... and those that hold data.
_DATA = ("x", "y", "sample_weight", "validation_data")


def fit_key(model: Any, arguments: dict[str, Any], callbacks: list[Any]) -> str:
    """Return the key of a fit: the same in each try of a fold, in any process.

    It need not tell all: the folder of a state is one fold's, and the estimator and
    the data are in the fold's own key. So what has no key of its own is left out,
    and fits with equal keys are counted.
    """
    return digest(
        *(_data_key(arguments[name]) for name in _DATA),
        *(_key(arguments[name]) for name in _ARGUMENTS),
        *(_class_name(callback) for callback in callbacks),
        _class_name(model),
        *(_class_name(layer) for layer in model.layers),
        *(str(tuple(weight.shape)) for weight in model.weights),
        _key(_config(model, "get_config")),
        _key(_config(model, "get_compile_config")),
    )


def _class_name(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _key(value: object) -> str:
    """Return a key, or nothing where there is none."""
    try:
        return fingerprint(value)
    except Exception:  # whatever it is that a generator or a dataset does not like
        return ""


def _data_key(data: Any) -> str:
    return _key(data) if _is_arrays(data) else _class_name(data)


def _is_arrays(data: Any) -> bool:
    if isinstance(data, dict):
        return all(map(_is_arrays, data.values()))
    if isinstance(data, list | tuple):
        return all(map(_is_arrays, data))
    return data is None or (
        hasattr(data, "shape") and (hasattr(data, "dtype") or hasattr(data, "iloc"))
    )


def is_continuous(arguments: dict[str, Any]) -> bool:
    """Return whether each epoch goes over the data from its beginning.

    Where the data are arrays, all that an epoch takes over from those before it is a
    random state, which is saved: NumPy's for JAX, PyTorch's for PyTorch. TensorFlow
    shuffles by an operation in a ``tf.data`` pipeline, whose state nobody can get
    at. But each epoch makes a new iterator, and with it a new instance of the
    operation: after ``keras.utils.set_random_seed`` the order is the same in every
    epoch, and without a seed it is not meant to be repeated. So there is nothing to
    restore, and no permutation to be drawn for the epochs that are not run again.

    With a number of steps, the iterator goes on where the last epoch left it.
    """
    counts = arguments["steps_per_epoch"], arguments["validation_steps"]
    return counts == (None, None) and all(_is_arrays(arguments[name]) for name in _DATA)


def _config(model: Any, method: str) -> Any:
    """Return a configuration in which things are named by their order.

    Keras counts the layers of a process for the names it makes up, and how many
    there were before depends on the folds that the process has run.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a lambda could not be loaded again
            config = json.loads(json.dumps(getattr(model, method)(), default=_key))
    except Exception:  # a model of the user's need not have one
        return None
    names = _names_in(config)
    numbers = {name: f"#{number}" for number, name in enumerate(dict.fromkeys(names))}
    return _renamed(config, numbers)


def _names_in(config: Any) -> Iterator[str]:
    if isinstance(config, dict):
        if isinstance(config.get("name"), str):
            yield config["name"]
        config = list(config.values())
    if isinstance(config, list):
        yield from itertools.chain.from_iterable(map(_names_in, config))


def _renamed(config: Any, names: dict[str, str]) -> Any:
    if isinstance(config, dict):
        return {
            names.get(key, key): _renamed(value, names)
            for key, value in config.items()
            if key != "shared_object_id"
        }
    if isinstance(config, list):
        return [_renamed(item, names) for item in config]
    return names.get(config, config) if isinstance(config, str) else config
