"""Which handler encodes the values of which class.

A class is looked up by itself, then among what was registered, then by the classes
that it derives from, then by its methods. A pair says how: the handler, and whether
instances may hold themselves, so that the walk has to number what it meets in them.
"""

import functools
import logging
import random
import types
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any

import numpy as np

from .._sklearn_compat.estimators import PASSTHROUGH
from .._sklearn_compat.scorers import SCORER
from .boosting import BOOSTING_BY_NAME
from .bytecode import normalise
from .class_tables import ClassTable
from .code import encode_class, encode_function
from .compiled import COMPILED_BY_NAME
from .data_handlers import DATA_BASES, DATA_BY_NAME
from .encoding import ATOMS, node
from .generated import encode_type_adapter
from .hints import HINTS_BY_NAME
from .instances import encode_instance
from .keras_objects import encode_callback, encode_keras, encode_tokenizer, is_keras
from .libraries import (
    by_state,
    encode_drawn,
    encode_frozen,
    encode_passthrough,
    encode_requests,
    encode_scorer,
    encode_tree,
    seed_sequence,
)
from .library_code import class_name, package_of
from .modules import encode_module
from .python import (
    Keywords,
    encode_builtin,
    encode_cached,
    encode_dict,
    encode_enum,
    encode_keywords,
    encode_method,
    encode_partial,
    encode_set,
    sequence,
    wrapper,
)
from .relevance import Drawn
from .tensors import TENSORS_BY_NAME, encode_tensor
from .walk import Handler, Unkeyable, Walk

# What the user has registered, and the handlers that were looked up.
_registered: ClassTable[Callable[[Any], object]] = ClassTable()
_handlers: ClassTable[tuple[Handler, bool]] = ClassTable()

_EXACT: dict[type, tuple[Handler, bool]] = {
    list: (sequence(b"list"), False),
    tuple: (sequence(b"tuple"), False),
    dict: (encode_dict, False),
    Keywords: (encode_keywords, False),
    Drawn: (encode_drawn, False),
    set: (encode_set, False),
    frozenset: (encode_set, False),
    types.FunctionType: (encode_function, True),
    types.MethodType: (encode_method, False),
    types.BuiltinFunctionType: (encode_builtin, False),
    types.MappingProxyType: (lambda walk, v: encode_dict(walk, dict(v)), False),
    types.ModuleType: (encode_module, False),
    types.CodeType: (lambda _walk, value: normalise(value).key, False),
    functools.partial: (encode_partial, False),
    type(functools.lru_cache(len)): (encode_cached, False),
    functools.cached_property: (wrapper("func"), False),
    property: (wrapper("fget", "fset", "fdel"), False),
    classmethod: (wrapper("__func__"), False),
    staticmethod: (wrapper("__func__"), False),
    random.Random: (by_state(lambda value: value.getstate()), False),
    random.SystemRandom: (by_state(lambda _value: None), False),  # it has none
    np.random.RandomState: (by_state(lambda v: v.get_state(legacy=False)), False),
    np.random.Generator: (by_state(lambda value: value.bit_generator), False),
    np.random.SeedSequence: (by_state(lambda value: value.state), False),
}
_BY_ID = {id(cls): found for cls, found in _EXACT.items()}
# Looked up in this order among the bases of a class, after the classes above.
_BASES: list[tuple[type, tuple[Handler, bool]]] = [
    (type, (encode_class, True)),
    (Enum, (encode_enum, True)),
    *((base, (handler, False)) for base, handler in DATA_BASES),
    (
        np.random.BitGenerator,
        (by_state(lambda value: (value.state, seed_sequence(value))), False),
    ),
    (set, (encode_set, False)),
    (frozenset, (encode_set, False)),
    # What a logger does with a message does not change a score.
    (logging.Logger, (lambda _walk, _value: b"L", False)),
]
# By the name of a class's module, of a class that it derives from, and the handler.
_BY_NAME: list[tuple[str, str, Handler]] = [
    ("sklearn", "MetadataRequest", encode_requests),
    ("sklearn", PASSTHROUGH, encode_passthrough),
    ("sklearn", SCORER, encode_scorer),
    ("sklearn", "BinaryTree64", encode_tree),
    ("sklearn", "BinaryTree32", encode_tree),
    ("scipy", "rv_frozen", encode_frozen),
    *HINTS_BY_NAME,
    *DATA_BY_NAME,
    *TENSORS_BY_NAME,
    *COMPILED_BY_NAME,
    *BOOSTING_BY_NAME,
    ("pydantic", "TypeAdapter", encode_type_adapter),
]
# Likewise, before what is Keras's for other reasons.
_KERAS_BY_NAME: list[tuple[str, str, Handler]] = [
    ("keras", "Callback", encode_callback),
    ("keras", "Variable", encode_tensor),
    ("keras", "Tokenizer", encode_tokenizer),
    ("keras_preprocessing", "Tokenizer", encode_tokenizer),
]


def handler_of(cls: type) -> tuple[Handler, bool]:
    """Return the handler for a class, and whether its instances may hold themselves."""
    found = _BY_ID.get(id(cls)) or _handlers.get(cls)
    return found or _handlers.put(cls, _find_handler(cls))


def _find_handler(cls: type) -> tuple[Handler, bool]:
    if _registered_for(cls) is not None:
        return _encode_registered, False
    if hasattr(cls, "__resumable_search_key__"):
        return _encode_own_key, False
    bases = set(map(id, cls.__mro__))
    for base, found in _BASES:
        if id(base) in bases:
            return found
    names = {(package_of(base), base.__name__) for base in cls.__mro__}
    for package, name, handler in _KERAS_BY_NAME:
        if (package, name) in names:
            return handler, False
    # With PyTorch as its backend, a layer of Keras is a module of PyTorch, too.
    if is_keras(cls) and hasattr(cls, "get_config"):
        return encode_keras, False
    for package, name, handler in _BY_NAME:
        if (package, name) in names:
            return handler, False
    return encode_instance, True


def _registered_for(cls: type) -> Callable[[Any], object] | None:
    return next(filter(None, map(_registered.get, cls.__mro__)), None)


def has_own_key(cls: type) -> bool:
    """Return whether the user has said how the objects of a class are told apart."""
    return _registered_for(cls) is not None or hasattr(cls, "__resumable_search_key__")


def has_fixed_key(cls: type) -> bool:
    """Return whether a class is of Python's or NumPy's own values and containers."""
    return cls is object or id(cls) in ATOMS.keys() | _BY_ID.keys()


def register(cls: type, function: Callable[[Any], object]) -> None:
    """Key the objects of a class by what the function makes of them."""
    _registered.put(cls, function)
    _handlers.clear()


def _encode_registered(walk: Walk, value: Any) -> bytes:
    function: Any = _registered_for(type(value))
    return _encode_told(walk, value, b"registered", lambda: function(value))


def _encode_own_key(walk: Walk, value: Any) -> bytes:
    return _encode_told(walk, value, b"own", lambda: value.__resumable_search_key__())


def _encode_told(
    walk: Walk, value: object, tag: bytes, tell: Callable[[], object]
) -> bytes:
    """Key an object by what the user tells of it, if that can tell it from others."""
    where = "method __resumable_search_key__ of"
    if tag == b"registered":
        where = "function that is registered with register_key for"
    where += f" the class {type(value).__qualname__}"
    remedy = (
        f"Have the {where} return a plain value, such as a number, a text or a tuple "
        "of them, which changes when results do."
    )
    try:
        told = tell()
    except RecursionError:
        raise
    except Exception as error:
        cause = f"the {where} failed ({type(error).__name__}: {error})"
        raise Unkeyable(value, cause, remedy) from error
    if _is_or_holds(told, value) or told is NotImplemented:
        what = "NotImplemented" if told is NotImplemented else "the object itself"
        raise Unkeyable(value, f"the {where} returned {what}", remedy)
    label = " -> registered key" if tag == b"registered" else " -> own key"
    try:
        key = walk.child(label, told)
    except Unkeyable as error:
        error.remedy = error.remedy or remedy
        raise
    return node(tag, (class_name(type(value)), key))


def _is_or_holds(told: object, value: object) -> bool:
    """Return whether an object is to be known by itself, which all of its class are."""
    inner: Iterable[object] = ()
    if isinstance(told, dict):
        inner = told.values()
    elif isinstance(told, list | tuple):
        inner = told
    return told is value or any(item is value for item in inner)
