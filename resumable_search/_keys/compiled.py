"""Keys of functions that a library has compiled, and of what has no state to compare.

A compiled function counts as the function that it was made from, with what it was
compiled for. What has been compiled so far, and for which types, does not count.
"""

from typing import Any

from .encoding import node
from .instances import encode_instance
from .library_code import is_library, resolves
from .walk import Handler, Unkeyable, Walk

_JIT_OPTIONS = (
    "static_argnums",
    "static_argnames",
    "donate_argnums",
    "donate_argnames",
    "inline",
    "keep_unused",
    "compiler_options_kvs",
)


def encode_jitted(walk: Walk, value: Any) -> bytes:
    """Key a function compiled by JAX: a library's by name, another by the function."""
    function = value.__wrapped__
    module, name = getattr(value, "__module__", None), value.__qualname__
    if is_library(module) and resolves(module, name, value):
        return walk.library(b"library", module, name)
    made_with = getattr(value, "_jit_info", None)
    options = [getattr(made_with, option, None) for option in _JIT_OPTIONS]
    parts = walk.child(" -> compiled function", function), walk.encode(options)
    return node(b"jit", parts)


def encode_custom_derivative(walk: Walk, value: Any) -> bytes:
    """Key a function with a derivative of its own, JAX's own by name."""
    module, name = getattr(value, "__module__", None), value.__name__
    if is_library(module) and resolves(module, name, value):
        return walk.library(b"library", module, name)
    return encode_instance(walk, value)


def encode_dispatcher(walk: Walk, value: Any) -> bytes:
    """Key a function compiled by numba by the function and how it is compiled."""
    parts = [walk.child(" -> compiled function", value.py_func)]
    parts.append(walk.child(" -> options", dict(value.targetoptions)))
    return node(b"numba", parts)


def encode_numba_ufunc(walk: Walk, value: Any) -> bytes:
    """Key a universal function of numba by the function that it was made from."""
    dispatcher = getattr(value, "_dispatcher", None)
    function = getattr(dispatcher, "py_func", None)
    if function is None:
        function = getattr(getattr(value, "gufunc_builder", None), "py_func", None)
    if function is None:
        raise Unkeyable(value, "numba does not tell what it was compiled from")
    signature = getattr(value, "signature", None)
    parts = walk.child(" -> compiled function", function), walk.encode(signature)
    return node(b"numba", parts)


def encode_script(_walk: Walk, value: Any) -> bytes:
    """Refuse what PyTorch has compiled from a function's source."""
    raise Unkeyable(
        value,
        "TorchScript does not tell what it was compiled from; use the Python function",
    )


def encode_tf_function(walk: Walk, value: Any) -> bytes:
    """Key what ``tf.function`` makes by the function, and how it is compiled."""
    options = [str(getattr(value, "input_signature", None))]
    options.append(str(getattr(value, "_jit_compile", None)))
    function = walk.child(" -> compiled function", value.python_function)
    return node(b"tf.function", (function, walk.encode(options)))


#: By the name of a class's package, of a class that it derives from, and the handler.
COMPILED_BY_NAME: list[tuple[str, str, Handler]] = [
    ("jax", "PjitFunction", encode_jitted),
    ("jax", "custom_jvp", encode_custom_derivative),
    ("jax", "custom_vjp", encode_custom_derivative),
    ("numba", "Dispatcher", encode_dispatcher),
    ("numba", "DUFunc", encode_numba_ufunc),
    ("numba", "GUFunc", encode_numba_ufunc),
    ("torch", "ScriptFunction", encode_script),
    ("tensorflow", "Function", encode_tf_function),
]
