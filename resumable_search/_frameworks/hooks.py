"""What a worker does with deep learning frameworks, once the estimator imports one.

None is imported here. What can be set by environment variables is set before the
worker starts; the rest when the framework has been imported, and before it is used.

==========  ================================================  ==================
framework   the share of the GPU's memory                     between folds
==========  ================================================  ==================
TensorFlow  a logical device with a memory limit              Keras's session
JAX         ``XLA_CLIENT_MEM_FRACTION``: a pool of that size  Keras's session
PyTorch     ``set_per_process_memory_fraction``               its cache of blocks
==========  ================================================  ==================

Private name: ``torch.cuda._lazy_call`` (1.0 to 2.13), which has the limit set when
CUDA is first used; the public function would make a CUDA context at once.
"""

import contextlib
import functools
import gc
import importlib
import importlib.util
import json
import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import platformdirs
import wrapt

from .._gpu.devices import SLOT_VARIABLE, SlotPlan
from . import keras_epochs as _epochs
from . import keras_events as _events
from . import skorch_epochs as _skorch_states
from . import skorch_events as _skorch_events

__all__ = [
    "clear",
    "environment",
    "follow",
    "imported",
    "is_out_of_memory",
    "private_bytes",
    "save_epochs",
    "warm",
    "watch_epochs",
]

#: In the order in which a successor imports them: Keras brings its backend.
_NAMES = ("keras", "tensorflow", "torch", "jax")

_JAX_SHARE = ("XLA_CLIENT_MEM_FRACTION", "XLA_PYTHON_CLIENT_MEM_FRACTION")

# Tells a search inside a worker that JAX's share is the worker's.
_OURS_VARIABLE = "_RESUMABLE_SEARCH_JAX_SHARE"

# By type (as it stands in a traceback) and by message.
_OUT_OF_MEMORY = re.compile(
    r"""
    \bOutOfMemoryError                         # PyTorch, CuPy
    | CUDA\ (error:\ )?out\ of\ memory          # PyTorch
    | ResourceExhaustedError                    # TensorFlow
    | RESOURCE_EXHAUSTED                        # JAX, XLA
    | OOM\ when\ allocating                     # TensorFlow
    | Dst\ tensor\ is\ not\ initialized         # TensorFlow, a copy to a full GPU
    | CUDA_ERROR_OUT_OF_MEMORY | cudaErrorMemoryAllocation
    | CU(BLAS|DNN|SOLVER|SPARSE|FFT)_(STATUS_)?ALLOC_FAILED
    | CUBLAS_STATUS_NOT_INITIALIZED             # no room for the handle
    | CUDNN_STATUS_(INTERNAL_ERROR_)?DEVICE_ALLOCATION_FAILED
    | (Failed|failed|Could\ not)\ (to\ )?create\ cu(blas|dnn|solver)\ handle
    | std::bad_alloc:\ (out_of_memory|CUDA)     # RAPIDS
    """,
    re.VERBOSE | re.IGNORECASE,
)


# ---------------------------------------------------------------------------
# In the parent


def environment(plan: SlotPlan, environ: Mapping[str, str]) -> dict[str, str]:
    """Return what a worker needs in its environment for the frameworks."""
    variables = _jax_cache(environ)
    if plan.device is not None and not _has_own_jax_share(environ):
        variables[_jax_share_name()] = f"{plan.share / plan.total:.4f}"
        variables[_OURS_VARIABLE] = "1"
    return variables


def _has_own_jax_share(environ: Mapping[str, str]) -> bool:
    """Return whether the user has set it, and not a search that this one is in."""
    return _OURS_VARIABLE not in environ and any(n in environ for n in _JAX_SHARE)


def _jax_share_name() -> str:
    """Return the variable's name; both names together are an error in JAX."""
    spec = importlib.util.find_spec("jaxlib")
    for place in (spec and spec.submodule_search_locations) or ():
        try:
            text = Path(place, "xla_client.py").read_text()
        except OSError:
            continue
        if _JAX_SHARE[0] not in text and _JAX_SHARE[1] in text:
            return _JAX_SHARE[1]  # a release before it was renamed
    return _JAX_SHARE[0]


def _jax_cache(environ: Mapping[str, str]) -> dict[str, str]:
    """Have all workers, of all runs, compile the same function once."""
    if "JAX_COMPILATION_CACHE_DIR" in environ:
        return {}
    place = platformdirs.user_cache_path("resumable_search") / "jax"
    defaults = {
        "JAX_COMPILATION_CACHE_DIR": str(place),
        "JAX_COMPILATION_CACHE_MAX_SIZE": str(2**30),
        # JAX leaves out what compiles in under a second: all of a small network.
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.05",
    }
    return {k: v for k, v in defaults.items() if k not in environ}


# ---------------------------------------------------------------------------
# In the worker


def follow() -> None:
    """Prepare whatever framework is imported from now on."""
    save_epochs()
    slot = json.loads(os.environ.get(SLOT_VARIABLE, "null"))
    if slot is None:
        return
    if slot["cores"] and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, slot["cores"])
    wrapt.register_post_import_hook(_limiter(_limit_tensorflow, slot), "tensorflow")
    wrapt.register_post_import_hook(_limiter(_limit_torch, slot), "torch")


@functools.cache  # once per process
def watch_epochs() -> None:
    """Have every Keras and skorch fit in a watched fold tell of its epochs."""
    wrapt.register_post_import_hook(_events.install, "keras")
    wrapt.register_post_import_hook(_skorch_events.install, "skorch")


@functools.cache  # once per process
def save_epochs() -> None:
    """Have every Keras and skorch fit in a fold with ``save_epochs`` save its state.

    And tell of its epochs: the one wrapper has to be around the other.
    """
    watch_epochs()
    wrapt.register_post_import_hook(_epochs.install, "keras")
    wrapt.register_post_import_hook(_skorch_states.install, "skorch")


def _limiter(
    limit: Callable[[Any, dict[str, Any]], None], slot: dict[str, Any]
) -> Callable[[Any], None]:
    return lambda module: limit(module, slot)


def _limit_tensorflow(tensorflow: Any, slot: dict[str, Any]) -> None:
    config = tensorflow.config
    for gpu in config.list_physical_devices("GPU"):
        limit = config.LogicalDeviceConfiguration(memory_limit=slot["share"] // 2**20)
        config.set_logical_device_configuration(gpu, [limit])


def _limit_torch(torch: Any, slot: dict[str, Any]) -> None:
    def limit() -> None:
        share = min(1.0, slot["share"] / slot["total"])
        torch.cuda.set_per_process_memory_fraction(share, 0)

    if hasattr(torch.cuda, "_lazy_call"):
        torch.cuda._lazy_call(limit)
    elif torch.cuda.is_available():
        limit()


def imported() -> tuple[str, ...]:
    """Name the frameworks that this process has imported."""
    return tuple(name for name in _NAMES if name in sys.modules)


def warm(names: tuple[str, ...]) -> None:
    """Import what the worker had imported that this one is going to replace."""
    for name in names:
        importlib.import_module(name)


def clear() -> None:
    """Let go of what the last fold left in a framework."""
    keras, torch = sys.modules.get("keras"), sys.modules.get("torch")
    if keras is None and torch is None:
        return
    # A module whose import failed half way has no attributes.
    if keras is not None and hasattr(keras, "backend"):
        keras.backend.clear_session()  # collects garbage, too
    else:
        gc.collect()
    if torch is not None and torch.cuda.is_initialized():
        # A fault on the GPU makes every later call fail, this one included. The
        # parent has seen the fault and ends this worker.
        with contextlib.suppress(RuntimeError):
            torch.cuda.empty_cache()


def is_out_of_memory(text: str) -> bool:
    """Tell from the text of an exception whether a GPU's memory was used up."""
    return _OUT_OF_MEMORY.search(text) is not None


def private_bytes() -> int | None:
    """Return the memory that this process shares with nobody; None if not known."""
    try:
        with Path("/proc/self/status").open() as status:
            for line in status:
                if line.startswith("RssAnon:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None
