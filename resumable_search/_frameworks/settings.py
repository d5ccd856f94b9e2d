"""The settings of frameworks that scores depend on.

Read where the framework has been imported, and otherwise as it would have them when it
is: from the environment and its file. So a key is the same in a process that has
imported it and in one that has not. None is imported here, and reading sets nothing
(``keras.config.dtype_policy()`` would settle the policy for good).

Private name: ``keras.src.backend.common.global_state``, which holds the dtype policy;
checked with Keras 3.4 and 3.15.
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["framework_settings"]

# What is built on which framework. The estimators of this package, on Keras.
_BUILT_ON = {
    "keras": [
        "keras",
        "tf_keras",
        "scikeras",
        "keras_hub",
        "keras_nlp",
        "keras_cv",
        "keras_tuner",
        "autokeras",
        "resumable_search",
    ],
    "tensorflow": ["tensorflow", "tf_keras", "scikeras"],
    "torch": [
        "torch",
        "torchvision",
        "torchaudio",
        "skorch",
        "lightning",
        "pytorch_lightning",
    ],
    "jax": ["jax", "jaxlib", "flax", "optax", "equinox", "haiku", "numpyro"],
}


def framework_settings(packages: frozenset[str]) -> dict[str, dict[str, object]]:
    """Return the settings that scores can depend on, of what was reached.

    Parameters
    ----------
    packages : frozenset of str
        The top-level names of the packages that a key has reached.

    Returns
    -------
    settings : dict of str to dict
        By framework; plain values under their names. Empty where no framework is
        reached.
    """
    reached = {name for name, users in _BUILT_ON.items() if packages & set(users)}
    settings: dict[str, dict[str, object]] = {}
    if "keras" in reached:
        settings["keras"] = _keras_settings()
        reached.add(str(settings["keras"]["backend"]))
    for name, read in _READERS.items():
        if name in reached:
            settings[name] = read()
    return settings


def _module(name: str, attribute: str) -> Any:
    """Return a module that has been imported to the end, or None."""
    module = sys.modules.get(name)
    return module if hasattr(module, attribute) else None


def _keras_settings() -> dict[str, object]:
    keras = _module("keras", "config")
    if keras is None or not hasattr(keras.config, "floatx"):
        return _keras_defaults()
    config = keras.config
    states = sys.modules.get("keras.src.backend.common.global_state")
    policy = states.get_global_attribute("dtype_policy") if states is not None else None
    return {
        "backend": config.backend(),
        "floatx": config.floatx(),
        "epsilon": config.epsilon(),
        "image_data_format": config.image_data_format(),
        "dtype_policy": config.floatx() if policy is None else policy.name,
        "max_epochs": _limit(config, "max_epochs"),
        "max_steps_per_epoch": _limit(config, "max_steps_per_epoch"),
    }


def _limit(config: Any, name: str) -> object:
    read: Callable[[], object] | None = getattr(config, name, None)
    return read() if read is not None else None


def _keras_defaults() -> dict[str, object]:
    """Read what Keras reads when it is imported."""
    home = os.environ.get("KERAS_HOME")
    try:
        folder = Path(home).expanduser() if home else Path.home() / ".keras"
        found = json.loads((folder / "keras.json").read_text())
    except (OSError, ValueError, RuntimeError):
        found = {}
    given = found if isinstance(found, dict) else {}
    floatx = given.get("floatx", "float32")
    return {
        "backend": os.environ.get("KERAS_BACKEND")
        or given.get("backend", "tensorflow"),
        "floatx": floatx,
        "epsilon": given.get("epsilon", 1e-7),
        "image_data_format": given.get("image_data_format", "channels_last"),
        "dtype_policy": floatx,
        "max_epochs": _integer("KERAS_MAX_EPOCHS"),
        "max_steps_per_epoch": _integer("KERAS_MAX_STEPS_PER_EPOCH"),
    }


def _integer(variable: str) -> int | None:
    value = os.environ.get(variable, "")
    return int(value) if value.isdigit() else None


def _torch_settings() -> dict[str, object]:
    torch = _module("torch", "get_default_dtype")
    if torch is None:
        return {
            "default_dtype": "torch.float32",
            "default_device": "cpu",
            "deterministic": False,
            "float32_matmul_precision": "highest",
            "cudnn_deterministic": False,
            "cudnn_benchmark": False,
        }
    device = getattr(torch, "get_default_device", lambda: "cpu")
    cudnn = torch.backends.cudnn
    return {
        "default_dtype": str(torch.get_default_dtype()),
        "default_device": str(device()),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
        "cudnn_deterministic": cudnn.deterministic,
        "cudnn_benchmark": cudnn.benchmark,
    }


_JAX_DEFAULTS: dict[str, object] = {
    "jax_enable_x64": False,
    "jax_default_matmul_precision": None,
    "jax_numpy_dtype_promotion": "standard",
    "jax_default_prng_impl": "threefry2x32",
    "jax_default_dtype_bits": "64",
}


def _jax_settings() -> dict[str, object]:
    jax = _module("jax", "config")
    if jax is None:
        return {name: _jax_default(name) for name in _JAX_DEFAULTS}
    return {
        name: getattr(jax.config, name, default)
        for name, default in _JAX_DEFAULTS.items()
    }


def _jax_default(name: str) -> object:
    """Return what JAX has without a call of ``jax.config.update``."""
    default, value = _JAX_DEFAULTS[name], os.environ.get(name.upper())
    if value is None:
        return default
    if isinstance(default, bool):
        return value.lower() in ("y", "yes", "t", "true", "on", "1")
    return value


def _tensorflow_settings() -> dict[str, object]:
    tensorflow = _module("tensorflow", "config")
    if tensorflow is None or not hasattr(tensorflow.config, "functions_run_eagerly"):
        return {
            "eager": True,
            "functions_run_eagerly": False,
            "tensor_float_32": True,
            "deterministic": os.environ.get("TF_DETERMINISTIC_OPS") in ("1", "true"),
        }
    config = tensorflow.config
    module = sys.modules.get("tensorflow.python.framework.config")
    deterministic = getattr(module, "is_op_determinism_enabled", lambda: False)
    return {
        "eager": tensorflow.executing_eagerly(),
        "functions_run_eagerly": config.functions_run_eagerly(),
        "tensor_float_32": config.experimental.tensor_float_32_execution_enabled(),
        "deterministic": bool(deterministic()),
    }


_READERS = {
    "tensorflow": _tensorflow_settings,
    "torch": _torch_settings,
    "jax": _jax_settings,
}
