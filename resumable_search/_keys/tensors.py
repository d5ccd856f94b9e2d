"""Keys of tensors and variables: PyTorch's, JAX's, TensorFlow's and Keras's.

By class, type and content, on whatever device they lie, and by what decides how they
are trained: whether they are, and the functions that are called with gradients.
"""

import sys
from typing import Any

import numpy as np

from .encoding import encode_str, node
from .walk import Handler, Unkeyable, Walk


def encode_tensor(walk: Walk, value: Any) -> bytes:
    """Key a tensor or variable by class, dtype, content and how it is trained."""
    parts = [walk.encode(type(value)), encode_str(str(value.dtype))]
    parts.append(walk.encode(bool(getattr(value, "trainable", False))))
    try:
        content = value.numpy() if hasattr(value, "numpy") else np.asarray(value)
    except Exception as error:  # a place in a graph
        raise Unkeyable(value, f"it has no content to read ({error})") from error
    return node(b"tensor", [*parts, walk.encode(content)])


def encode_jax_array(walk: Walk, value: Any) -> bytes:
    """Key an array of JAX by dtype and content, and keys of its random generator."""
    kind = str(value.dtype)
    parts = [encode_str(kind), walk.encode(bool(getattr(value, "weak_type", False)))]
    if kind.startswith("key<"):
        value = sys.modules["jax"].random.key_data(value)
    return node(b"jax", [*parts, walk.encode(np.asarray(value))])


def encode_composite(walk: Walk, value: Any) -> bytes:
    """Key a sparse or ragged tensor of TensorFlow by the tensors that it is made of."""
    tensorflow = sys.modules["tensorflow"]
    if isinstance(value, tensorflow.data.Dataset | tensorflow.data.Iterator):
        raise Unkeyable(
            value, "what comes out of a dataset is not known before it is gone through"
        )
    parts = tensorflow.nest.flatten(value, expand_composites=True)
    kind = str(tensorflow.type_spec_from_value(value))
    return node(b"composite", [encode_str(kind), *map(walk.encode, parts)])


# PyTorch


def encode_torch(walk: Walk, value: Any) -> bytes:
    """Key a tensor of PyTorch by class, dtype, content and how it is trained."""
    parts = [walk.encode(type(value)), encode_str(str(value.dtype))]
    parts.append(walk.encode(bool(value.requires_grad)))
    hooks = getattr(value, "_backward_hooks", None) or {}
    parts.append(walk.child(" -> hooks", list(hooks.values())))
    parts += walk.attributes(getattr(value, "__dict__", {}))
    if value.device.type == "meta":
        raise Unkeyable(value, "a tensor on the device 'meta' has no content")
    parts += [walk.encode(part) for part in _torch_content(value.detach())]
    return node(b"tensor", parts)


def _torch_content(value: Any) -> list[Any]:
    """Return the arrays that a tensor is made of, and what says how."""
    if value.is_nested:
        return [part for item in value.unbind() for part in _torch_content(item)]
    if value.is_quantized:
        per_channel = "channel" in str(value.qscheme())
        scale = (
            (value.q_per_channel_scales(), value.q_per_channel_zero_points())
            if per_channel
            else (value.q_scale(), value.q_zero_point())
        )
        axis = value.q_per_channel_axis() if per_channel else None
        return [str(value.qscheme()), axis, *scale, *_torch_content(value.int_repr())]
    kind = str(value.layout).removeprefix("torch.sparse_")
    if kind == "coo":
        value = value.coalesce()
        parts = [value.indices(), value.values()]
    elif kind in ("csr", "bsr"):
        parts = [value.crow_indices(), value.col_indices(), value.values()]
    elif kind in ("csc", "bsc"):
        parts = [value.ccol_indices(), value.row_indices(), value.values()]
    else:
        return [_torch_array(value.cpu().resolve_conj().resolve_neg())]
    arrays = [array for part in parts for array in _torch_content(part)]
    return [kind, tuple(value.shape), *arrays]


def _torch_array(value: Any) -> Any:
    try:
        return value.numpy()
    except TypeError:  # NumPy has no bfloat16: by its bytes
        raw = value.contiguous().reshape(-1).view(sys.modules["torch"].uint8)
        return tuple(value.shape), raw.numpy()


def encode_torch_generator(walk: Walk, value: Any) -> bytes:
    """Key a random generator of PyTorch by its state."""
    state = walk.encode(value.get_state().numpy())
    return node(b"generator", (encode_str(value.device.type), state))


def encode_torch_module(walk: Walk, value: Any) -> bytes:
    """Key a module by class, parameters, buffers, hooks, mode and attributes."""
    if "ScriptModule" in {base.__name__ for base in type(value).__mro__}:
        raise Unkeyable(
            value, "TorchScript does not tell what it was compiled from; use the module"
        )
    original = vars(value).get("_modules", {}).get("_orig_mod")
    if original is not None and type(value).__name__ == "OptimizedModule":
        return node(b"compiled", (walk.child(" -> compiled module", original),))
    parts = [walk.encode(type(value))]
    hooked = {name for name in vars(value) if name.endswith(_HOOKS)}
    for name in sorted(hooked):
        hooks = vars(value)[name] or {}
        # Numbered over all modules of a process. Some have a table beside them, of
        # the numbers of those that are called in another way.
        ordered = list(hooks.values())
        if name.endswith("_hooks"):
            others = (getattr(value, name + suffix, {}) for suffix in _HOOK_TABLES)
            tables = [[number in table for number in hooks] for table in others]
            parts.append(walk.child(f".{name}", (ordered, tables)))
    state = {k: v for k, v in vars(value).items() if k not in hooked}
    getstate = getattr(type(value), "__getstate__", None)
    if "_flat_weight_refs" in state and getstate is not None:  # weak references
        del state["_flat_weight_refs"]
    parts += walk.attributes(state)
    numbers: dict[int, int] = {}
    tied = [
        numbers.setdefault(id(parameter), len(numbers))
        for _, parameter in value.named_parameters(remove_duplicate=False)
    ]
    return node(b"module", [*parts, walk.encode(tied)])


_HOOK_TABLES = ("_with_kwargs", "_always_called")
_HOOKS = ("_hooks", *(f"_hooks{suffix}" for suffix in _HOOK_TABLES))


#: By the name of a class's package, of a class that it derives from, and the handler.
TENSORS_BY_NAME: list[tuple[str, str, Handler]] = [
    ("torch", "Tensor", encode_torch),
    ("torch", "TensorBase", encode_torch),
    ("torch", "Module", encode_torch_module),
    ("torch", "Generator", encode_torch_generator),
    ("jax", "ArrayImpl", encode_jax_array),
    ("jax", "PRNGKeyArray", encode_jax_array),
    ("tensorflow", "Tensor", encode_tensor),
    ("tensorflow", "Variable", encode_tensor),
    ("tensorflow", "CompositeTensor", encode_composite),
]
