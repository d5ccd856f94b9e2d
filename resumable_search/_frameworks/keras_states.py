"""The state of a Keras model and of what it draws from, taken and put back.

Everything that is private to Keras or to one of its backends is here; checked with
Keras 3.4 and 3.15:

- ``Model._initial_epoch``, which ``BackupAndRestore`` sets too;
- ``Layer._flatten_layers``, for the buffers of the PyTorch modules in a model;
- ``Optimizer._trainable_variables``, to build it for the same variables again;
- ``keras.src.backend.common.global_state`` and ``keras.src.random.seed_generator``,
  for the generator that is used where a layer has none of its own;
- ``tensorflow.python.eager.context.context()._rng``, which makes the seeds of
  operations that have none.

No framework is imported: what is not in `sys.modules` has no state.
"""

import contextlib
import random
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from .state_files import StateFileError, UnsupportedValue

__all__ = [
    "check_random_state",
    "check_state",
    "keep_initial_epoch",
    "model_state",
    "random_state",
    "restore_state",
    "set_random_state",
    "start_at",
]

_State = dict[str, Any]


@contextlib.contextmanager
def keep_initial_epoch(model: Any) -> Iterator[None]:
    """Leave a model without the epoch that `start_at` set."""
    before = getattr(model, "_initial_epoch", None)
    try:
        yield
    finally:
        model._initial_epoch = before


def start_at(model: Any, epoch: int, finished: bool) -> None:
    """Make the fit begin with this epoch; to be called in ``on_train_begin``."""
    model._initial_epoch = epoch
    if finished and _is_torch_module(model):
        model.eval()  # as Keras leaves it after an epoch


def model_state(keras: Any, model: Any) -> _State:
    """Return all variables of a model and of its optimizers as arrays."""
    variables = _model_variables(model)
    return {
        "variables": _arrays(keras, variables),
        "optimizers": [
            {
                "built_for": _positions(_built_for(optimizer), variables),
                "variables": _arrays(keras, optimizer.variables),
            }
            for optimizer in _optimizers(keras, model)
        ],
        "buffers": [buffer.detach().cpu().numpy() for buffer in _buffers(model)],
    }


def check_state(keras: Any, model: Any, x: Any, state: _State) -> None:
    """Hold a state against a model; the model and its optimizers are built for that.

    Parameters
    ----------
    keras : module
        Keras.
    model : keras.Model
        The model that is to be trained.
    x : array, or list, tuple or dict of arrays
        What it is to be trained on.
    state : dict
        What `model_state` gave in another process.

    Raises
    ------
    StateFileError
        If it is that of another model.
    """
    if not hasattr(model, "_initial_epoch"):
        raise StateFileError("cannot be gone on from with this version of Keras")
    if len(_model_variables(model)) != len(state["variables"]):
        model(_first_row(x, keras))  # the first step of a training would build it
    variables = _model_variables(model)
    optimizers = _optimizers(keras, model)
    for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
        if saved["built_for"] and not optimizer.built:
            optimizer.build([variables[position] for position in saved["built_for"]])
    for present, arrays, name in [
        (_arrays(keras, variables), state["variables"], "model"),
        (
            [buffer.cpu().numpy() for buffer in _buffers(model)],
            state["buffers"],
            "model",
        ),
        *(
            (_arrays(keras, optimizer.variables), saved["variables"], "optimizer")
            for optimizer, saved in zip(optimizers, state["optimizers"], strict=True)
        ),
    ]:
        if _kinds(present) != _kinds(arrays):
            raise StateFileError(
                f"has other weights than the {name}: their shapes or types differ"
            )


def restore_state(keras: Any, model: Any, state: _State) -> None:
    """Put back a state that `check_state` let pass."""
    _assign(_model_variables(model), state["variables"])
    for optimizer, saved in zip(
        _optimizers(keras, model), state["optimizers"], strict=True
    ):
        _assign(optimizer.variables, saved["variables"])
    for buffer, array in zip(_buffers(model), state["buffers"], strict=True):
        buffer.copy_(sys.modules["torch"].from_numpy(array))


def _model_variables(model: Any) -> list[Any]:
    # Metrics start anew with each epoch; old releases list them here too.
    metrics = {id(variable) for variable in model.metrics_variables}
    variables = [item for item in model.variables if id(item) not in metrics]
    return [*variables, *_recurrent_states(model)]


def _recurrent_states(model: Any) -> list[Any]:
    """List what stateful recurrent layers carry over, which is no weight of theirs."""
    return [
        state
        for layer in getattr(model, "_flatten_layers", list)()
        if getattr(layer, "stateful", False)
        for state in getattr(layer, "states", None) or ()
        if hasattr(state, "assign")
    ]


def _optimizers(keras: Any, model: Any) -> list[Any]:
    """List the model's optimizer and those it has as attributes (a GAN's)."""
    held = [getattr(model, "optimizer", None)]
    for _, value in sorted(vars(model).items()):
        held += value if type(value) in (list, tuple) else [value]
    found = {
        id(item): item for item in held if isinstance(item, keras.optimizers.Optimizer)
    }
    return list(found.values())


def _buffers(model: Any) -> list[Any]:
    """List what PyTorch modules inside a model keep beside their parameters."""
    if not _is_torch_module(model):
        return []
    found = {
        id(buffer): buffer
        for layer in model._flatten_layers()
        for buffer in layer.buffers()
    }
    return list(found.values())


def _is_torch_module(model: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(model, torch.nn.Module)


def _arrays(keras: Any, variables: Iterable[Any]) -> list[Any]:
    return [np.asarray(keras.ops.convert_to_numpy(variable)) for variable in variables]


def _assign(variables: Iterable[Any], arrays: Iterable[Any]) -> None:
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


def _kinds(arrays: Iterable[Any]) -> list[Any]:
    return [(array.shape, array.dtype) for array in arrays]


def _built_for(optimizer: Any) -> list[Any]:
    return list(optimizer._trainable_variables) if optimizer.built else []


def _positions(variables: list[Any], among: list[Any]) -> list[int]:
    positions = {id(variable): number for number, variable in enumerate(among)}
    if not positions.keys() >= set(map(id, variables)):
        raise UnsupportedValue("an optimizer of variables that are not the model's")
    return [positions[id(variable)] for variable in variables]


def _first_row(x: Any, keras: Any) -> Any:
    """Return one sample, with the structure that the model is called with."""
    if isinstance(x, dict):
        return {name: _first_row(part, keras) for name, part in x.items()}
    if isinstance(x, list | tuple):
        return type(x)(_first_row(part, keras) for part in x)
    row = x.iloc[:1] if hasattr(x, "iloc") else x[:1]
    if hasattr(row, "toarray"):
        row = row.toarray()
    return keras.ops.convert_to_tensor(row.to_numpy() if hasattr(row, "iloc") else row)


# Random states. JAX has none of its own.


def random_state() -> _State:
    """Return the state of every generator that is not a variable of a model."""
    version, internal, gauss = random.getstate()
    return {
        "python": (version, np.array(internal, dtype=np.uint32), gauss),
        "numpy": np.random.get_state(legacy=False),
        **_keras_random_state(),
        **_torch_random_state(),
        **_tensorflow_random_state(),
    }


def _python_state(saved: Any) -> Any:
    version, internal, gauss = saved
    return version, tuple(internal.tolist()), gauss


def _keras_random_state() -> _State:
    generator = _global_seed_generator()
    if generator is None:
        return {}
    convert = sys.modules["keras"].ops.convert_to_numpy
    return {"keras": np.array(convert(generator.state))}


def _global_seed_generator(create: bool = False) -> Any:
    module = sys.modules.get("keras.src.random.seed_generator")
    states = sys.modules.get("keras.src.backend.common.global_state")
    if module is None or states is None:
        return None
    if create:
        return module.global_seed_generator()
    return states.get_global_attribute("global_seed_generator")


def _torch_random_state() -> _State:
    torch = sys.modules.get("torch")
    if torch is None:
        return {}
    state: _State = {"torch": torch.get_rng_state().numpy()}
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        state["cuda"] = [item.numpy() for item in torch.cuda.get_rng_state_all()]
    return state


def _tensorflow_seeds() -> Any:
    module = sys.modules.get("tensorflow.python.eager.context")
    return getattr(module.context(), "_rng", None) if module is not None else None


def _tensorflow_random_state() -> _State:
    seeds = _tensorflow_seeds()
    if seeds is None:
        return {}
    version, internal, gauss = seeds.getstate()
    return {"tensorflow": (version, np.array(internal, dtype=np.uint32), gauss)}


def check_random_state(state: _State) -> None:
    """Try a state on generators that nobody uses; raises if it is not one."""
    random.Random().setstate(_python_state(state["python"]))  # noqa: S311 - no secret
    if "tensorflow" in state:
        random.Random().setstate(_python_state(state["tensorflow"]))  # noqa: S311
    name = np.random.get_state(legacy=False)["bit_generator"]
    if state["numpy"]["bit_generator"] != name:
        raise StateFileError("was written with another random generator of NumPy")
    generator = np.random.RandomState(getattr(np.random, name)())
    generator.set_state(state["numpy"])
    torch = sys.modules.get("torch")
    if torch is not None and "torch" in state:
        torch.Generator().set_state(torch.from_numpy(state["torch"]))
        cuda = _torch_random_state().get("cuda")
        if cuda and "cuda" in state and _kinds(state["cuda"]) != _kinds(cuda):
            raise StateFileError("was written with other GPUs")
    if "keras" in state and state["keras"].shape != (2,):
        raise StateFileError("has a seed of Keras that is none")


def set_random_state(state: _State) -> None:
    """Set the generators as they were."""
    if "keras" in state:
        generator = _global_seed_generator(create=True)
        if generator is not None:
            generator.state.assign(state["keras"])
    torch = sys.modules.get("torch")
    if torch is not None and "torch" in state:
        torch.set_rng_state(torch.from_numpy(state["torch"]))
        if "cuda" in state and "cuda" in _torch_random_state():
            torch.cuda.set_rng_state_all(list(map(torch.from_numpy, state["cuda"])))
    seeds = _tensorflow_seeds()
    if seeds is not None and "tensorflow" in state:
        seeds.setstate(_python_state(state["tensorflow"]))
    np.random.set_state(state["numpy"])
    random.setstate(_python_state(state["python"]))  # last: the above may draw from it
