"""Keys of values: the same for equal values in every process, different otherwise.

The walk goes over a value's structure. Each part is encoded so that it tells its own
length, and hashed under the name of its kind:

- numbers, text and containers by value; dicts and sets in no particular order
- arrays, frames and sparse matrices by type, shape and content, not by layout
- estimators by class and parameters; Keras objects by configuration and weights
- functions and classes as `_code_keys` says
- what has a key of its own (`register_key`, ``__resumable_search_key__``) by that
- anything else by its class and the state that pickle would store

What pickle refuses has no key: better an error than another value's score. Values
are compared by content and not by identity, except inside what can refer to itself
(functions, the user's classes and instances): there the walk numbers what it meets.
"""

import copyreg
import functools
import hashlib
import itertools
import logging
import random
import re
import reprlib
import sys
import types
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from ._code_keys import (
    ATOMS,
    class_name,
    encode_bytes,
    encode_class,
    encode_float,
    encode_function,
    encode_module,
    encode_str,
    is_library,
    named,
    node,
    normalise,
    resolves,
)
from ._exceptions import FingerprintError

_Handler = Callable[["_Walk", Any], bytes]

_LARGE = 1 << 16  # bytes; from here on sha256 is twice as fast as blake2b
_CHUNK = 1 << 24  # bytes copied at a time of an array that is not contiguous
# A callback's link to the model and, in Keras's own, what a fit leaves behind.
_CALLBACK_LINKS = frozenset({"_model", "model", "params", "_params"})
_CALLBACK_STATE = frozenset(
    """history epoch best best_weights best_epoch wait stopped_epoch cooldown_counter
    validation_data monitor_op _batches_seen_since_last_saving _last_batch_seen
    _current_epoch""".split()  # noqa: SIM905 - a page of lines otherwise
)

_registered: dict[type, Callable[[Any], object]] = {}
_handlers: WeakKeyDictionary[type, tuple[_Handler, bool]] = WeakKeyDictionary()
_library_classes: WeakKeyDictionary[type, bytes] = WeakKeyDictionary()

# The same number or text gives the same score; a float32 may not.
_ATOMS: dict[type, Callable[[Any], bytes]] = {
    **ATOMS,
    bytearray: lambda value: node(b"bytearray", (encode_bytes(bytes(value)),)),
    np.float64: encode_float,
    np.bool_: lambda value: b"T" if value else b"F",
    np.int64: lambda value: b"i%x;" % int(value),
    np.str_: lambda value: encode_str(str(value)),
}


class _Unkeyable(Exception):  # noqa: N818 - becomes a FingerprintError at the top
    """A value without a key, and the way that led to it."""

    def __init__(self, value: object, cause: str) -> None:
        super().__init__(cause)
        self.value = value
        self.path: list[str] = []


class _Walk:
    """One walk over one value."""

    def __init__(self) -> None:
        # By id; the objects are kept too, or their ids could be given away again.
        self._closed: dict[int, tuple[object, bytes]] = {}
        self._roots: dict[int, tuple[object, bytes]] = {}
        self._open: dict[int, int] = {}
        self._numbers: dict[int, tuple[object, int]] | None = None
        self._references = 0  # to a number; what holds one has no key of its own
        self._cycles = 0  # references to a value that is being walked
        self._kept: list[object] = []
        self.fitted = False  # whether estimators are keyed with their fitted state

    def encode(self, value: object) -> bytes:
        atom = _ATOMS.get(type(value))
        if atom is not None:
            return atom(value)
        known = self._closed.get(id(value))
        if known is not None:
            return known[1]
        if id(value) in self._open:
            self._cycles += 1
            return b"^%d;" % (len(self._open) - self._open[id(value)])
        if isinstance(value, type):
            by_name = _library_class(value)
            if by_name is not None:
                return by_name
        handler, cyclic = _handler_of(type(value))
        if cyclic:
            return self._encode_numbered(value, handler)
        before = (self._references, self._cycles)
        self._open[id(value)] = len(self._open)
        try:
            result = handler(self, value)
        finally:
            del self._open[id(value)]
        if before == (self._references, self._cycles):
            self._closed[id(value)] = (value, result)
        return result

    def _encode_numbered(self, value: object, handler: _Handler) -> bytes:
        if self._numbers is not None:
            self._references += 1
            known = self._numbers.get(id(value))
            if known is not None:
                return b"@%d;" % known[1]
            self._numbers[id(value)] = (value, len(self._numbers))
            return handler(self, value)
        if id(value) in self._roots:
            return self._roots[id(value)][1]
        references, cycles = self._references, self._cycles
        self._numbers = {id(value): (value, 0)}
        try:
            result = handler(self, value)
        finally:
            self._numbers = None
        self._references = references
        if cycles == self._cycles:
            self._roots[id(value)] = (value, result)
        return result

    def encode_fitted(self, value: Any) -> list[bytes]:
        """Encode an estimator's whole state, and that of the estimators in it."""
        before = self.fitted, self._closed, self._roots
        self.fitted = True
        if not before[0]:  # what is known of the parameters is not enough here
            self._closed, self._roots = {}, {}
        try:
            return self.attributes(vars(value))
        finally:
            self._kept.append((self._closed, self._roots))
            self.fitted, self._closed, self._roots = before

    def child(self, label: str, value: object) -> bytes:
        try:
            return self.encode(value)
        except _Unkeyable as error:
            error.path.append(label)
            raise

    def unordered(self, values: Iterable[object]) -> list[bytes]:
        """Encode each value on its own, so that no order shows in the result."""
        numbers, self._numbers = self._numbers, None
        try:
            return sorted(map(self.encode, values))
        finally:
            self._numbers = numbers

    def items(self, pairs: Iterable[tuple[Any, Any]], ordered: bool) -> list[bytes]:
        keyed = [(self.unordered((key,))[0], key, value) for key, value in pairs]
        if not ordered:
            keyed.sort(key=lambda entry: entry[0])
        return [
            part
            for code, key, value in keyed
            for part in (code, self._item(key, value))
        ]

    def _item(self, key: object, value: object) -> bytes:
        atom = _ATOMS.get(type(value))
        return atom(value) if atom else self.child(f"[{summarize(key)}]", value)

    def attributes(self, values: dict[str, Any]) -> list[bytes]:
        parts: list[bytes] = []
        for name in sorted(values):
            parts += encode_str(name), self.child(f".{name}", values[name])
        return parts


# Python's own values


def _sequence(tag: bytes) -> _Handler:
    def encode(walk: _Walk, value: Any) -> bytes:
        return node(
            tag, [walk.child(f"[{index}]", item) for index, item in enumerate(value)]
        )

    return encode


def _encode_dict(walk: _Walk, value: dict[Any, Any]) -> bytes:
    try:  # text and numbers only, as in a candidate
        pairs = [(_ATOMS[type(k)](k), _ATOMS[type(v)](v)) for k, v in value.items()]
    except KeyError:
        return node(b"dict", walk.items(value.items(), ordered=False))
    pairs.sort()
    return node(b"dict", itertools.chain.from_iterable(pairs))


def _encode_set(walk: _Walk, value: Any) -> bytes:
    kind = type(value)
    parts = [b"" if kind in (set, frozenset) else walk.encode(kind)]
    parts += walk.unordered(value)
    parts.append(walk.encode(getattr(value, "__dict__", None)))
    return node(b"set" if isinstance(value, set) else b"frozenset", parts)


def _library_class(value: type) -> bytes | None:
    known = _library_classes.get(value)
    if known is None and is_library(value.__module__):
        known = _library_classes[value] = class_name(value)
    return known


def _encode_enum(walk: _Walk, value: Enum) -> bytes:
    parts = (encode_str(str(value.name)), walk.encode(value.value))
    return node(b"enum", (walk.encode(type(value)), *parts))


def _encode_partial(walk: _Walk, value: Any) -> bytes:
    parts = [walk.encode(type(value)), walk.child(" -> function", value.func)]
    parts += [walk.child(" -> arguments", value.args)]
    parts += [walk.child(" -> arguments", value.keywords)]
    return node(b"partial", [*parts, walk.encode(value.__dict__)])


def _encode_method(walk: _Walk, value: types.MethodType) -> bytes:
    parts = (walk.encode(value.__func__), walk.child(" -> instance", value.__self__))
    return node(b"method", parts)


def _encode_builtin(walk: _Walk, value: types.BuiltinFunctionType) -> bytes:
    if value.__self__ is None or isinstance(value.__self__, types.ModuleType):
        return named(b"library", value.__module__, value.__qualname__)
    owner = walk.child(" -> instance", value.__self__)
    return node(b"builtin", (encode_str(value.__name__), owner))


def _wrapper(*names: str) -> _Handler:
    """Key a descriptor or a wrapper by its class and the functions that it holds."""

    def encode(walk: _Walk, value: Any) -> bytes:
        parts = [walk.child("", getattr(value, name)) for name in names]
        return node(b"wrapper", (walk.encode(type(value)), *parts))

    return encode


def _encode_cached(walk: _Walk, value: Any) -> bytes:
    parts = (walk.child("", value.__wrapped__), walk.encode(value.cache_parameters()))
    return node(b"lru_cache", parts)


# Anything else


def _encode_instance(walk: _Walk, value: Any) -> bytes:
    try:
        special = copyreg.dispatch_table.get(type(value))
        reduced = special(value) if special else value.__reduce_ex__(4)
    except Exception as error:
        raise _Unkeyable(value, f"it cannot be pickled ({error})") from error
    if isinstance(reduced, str):
        return _encode_global(value, reduced)
    rebuild, args, state, items, pairs = (*reduced, None, None, None)[:5]
    if rebuild is copyreg.__newobj_ex__:  # type: ignore[attr-defined]
        rebuild, args = copyreg.__newobj__, (args[0], *args[1], args[2])  # type: ignore[attr-defined]
    kept = isinstance(value, OrderedDict)
    return node(
        b"instance",
        (
            walk.encode(type(value)),
            walk.encode(rebuild),
            node(b"args", [walk.child("", argument) for argument in args]),
            _encode_state(walk, state),
            node(b"items", [walk.child("[...]", item) for item in items or ()]),
            node(b"pairs", walk.items(pairs or (), ordered=kept)),
        ),
    )


def _encode_state(walk: _Walk, state: Any) -> bytes:
    if isinstance(state, tuple) and len(state) == 2:  # __dict__ and slots
        return node(b"state", [_encode_state(walk, part) for part in state])
    if isinstance(state, dict) and all(isinstance(name, str) for name in state):
        return node(b"state", walk.attributes(state))
    return walk.child(" -> state", state)


def _encode_global(value: object, name: str) -> bytes:
    """Key what pickle stores by its name, once it is sure that the name finds it."""
    places = [getattr(value, "__module__", None), type(value).__module__]
    if isinstance(value, np.ufunc):
        places += ["numpy", "scipy.special"]
    for place in places:
        if resolves(place, name, value):
            return named(b"global", place if is_library(place) else None, name)
    raise _Unkeyable(value, f"no module is known to hold it under the name '{name}'")


# NumPy


def _encode_dtype(walk: _Walk, value: np.dtype[Any]) -> bytes:
    parts = [encode_str(value.str), encode_str(str(value.type.__name__))]
    if value.kind == "T":
        parts.append(walk.encode(getattr(value, "na_object", None)))
    if value.subdtype is not None:
        parts += _encode_dtype(walk, value.subdtype[0]), walk.encode(value.shape)
    for name in value.names or ():
        parts += encode_str(name), _encode_dtype(walk, value[name])
    return node(b"dtype", parts)


def _encode_array(walk: _Walk, value: Any) -> bytes:
    array = np.asarray(value)
    parts = [encode_str(type(value).__name__) if isinstance(value, np.generic) else b""]
    if isinstance(value, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(value)
        parts += [walk.encode(item) for item in (type(value), mask, value.fill_value)]
        array = np.ma.getdata(value)
    elif type(value) not in (np.ndarray, np.memmap) and not parts[0]:
        parts += [walk.encode(type(value)), walk.encode(value.__dict__)]
    parts += [_encode_dtype(walk, array.dtype), walk.encode(array.shape)]
    parts += _array_content(walk, array)
    return node(b"array", parts)


def _array_content(walk: _Walk, array: np.ndarray[Any, Any]) -> Iterator[bytes]:
    if array.dtype.names is not None:  # by field: what lies between is undefined
        for name in array.dtype.names:
            field = array[name]
            yield encode_str(name) + _encode_dtype(walk, field.dtype)
            yield from _array_content(walk, field)
    elif array.dtype.hasobject or array.dtype.kind == "T":
        yield _objects(walk, array.ravel().tolist())
    else:
        yield _buffer(array)


def _objects(walk: _Walk, values: list[Any]) -> bytes:
    if set(map(type, values)) <= {str}:
        lengths = np.fromiter(map(len, values), np.int64, len(values))
        return node(b"texts", (_buffer(lengths), encode_str("".join(values))))
    return _sequence(b"objects")(walk, values)


def _buffer(array: np.ndarray[Any, Any]) -> bytes:
    hasher: Any = (
        hashlib.sha256() if array.nbytes > _LARGE else hashlib.blake2b(digest_size=32)
    )
    for piece in _contiguous_pieces(array):
        hasher.update(_significant(piece.reshape(-1)))
    return encode_bytes(hasher.digest())


def _contiguous_pieces(
    array: np.ndarray[Any, Any],
) -> Iterator[np.ndarray[Any, Any]]:
    if array.flags.c_contiguous:
        yield array
    elif array.nbytes <= _CHUNK or array.ndim == 0:
        yield np.ascontiguousarray(array)
    else:
        rows = max(1, len(array) * _CHUNK // array.nbytes)
        for start in range(0, len(array), rows):
            yield np.ascontiguousarray(array[start : start + rows])


def _significant(flat: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """View as bytes, without the padding of the x86's extended precision."""
    raw = flat.view(np.uint8)
    extended = flat.dtype.type in (np.longdouble, np.clongdouble)
    if extended and np.finfo(flat.dtype).nmant == 63:
        parts = raw.reshape(-1, np.dtype(np.longdouble).itemsize)
        return np.ascontiguousarray(parts[:, :10])
    return raw


def _seed_sequence(value: Any) -> object:
    """Give what `spawn` reads; before NumPy 2 each copy draws a new one."""
    return value.seed_seq if np.lib.NumpyVersion(np.__version__) >= "2.0.0" else None


def _by_state(read: Callable[[Any], object]) -> _Handler:
    def encode(walk: _Walk, value: Any) -> bytes:
        return node(b"state", (walk.encode(type(value)), walk.encode(read(value))))

    return encode


# scikit-learn and SciPy


def _encode_estimator(walk: _Walk, value: Any) -> bytes:
    parts = [walk.encode(type(value))]
    # A clone of most estimators keeps the parameters. A class that brings its own
    # way to clone (FrozenEstimator) keeps more.
    clone = getattr(type(value), "__sklearn_clone__", None)
    custom = getattr(clone, "__qualname__", "BaseEstimator.") if clone else None
    if walk.fitted or (custom and not custom.startswith("BaseEstimator.")):
        return node(b"fitted", parts + walk.encode_fitted(value))
    for name, parameter in sorted(value.get_params(deep=False).items()):
        parts += encode_str(name), walk.child(f"__{name}", parameter)
    for name in ("_metadata_request", "_sklearn_output_config"):  # clone keeps them
        kept = getattr(value, "__dict__", {}).get(name)
        parts.append(walk.encode(kept or None))
    return node(b"estimator", parts)


def _encode_requests(walk: _Walk, value: Any) -> bytes:
    """Key a MetadataRequest by what was asked for, not by whom."""
    methods = {
        name: getattr(method, "_requests", None)
        for name, method in vars(value).items()
        if name != "owner"
    }
    asked = {
        (name, key): alias
        for name, requests in methods.items()
        for key, alias in (requests or {}).items()
        if alias is not None
    }
    return walk.encode(asked or None)


def _encode_passthrough(walk: _Walk, value: Any) -> bytes:
    # It calls the score method of the estimator, which has a key of its own.
    requests = walk.encode(vars(value).get("_metadata_request"))
    return node(b"passthrough", (walk.encode(type(value)), requests))


def _encode_frozen(walk: _Walk, value: Any) -> bytes:
    parts = [walk.encode(part) for part in (value.dist, value.args, value.kwds)]
    return node(b"frozen", (walk.encode(type(value)), *parts))


def _encode_sparse(walk: _Walk, value: Any) -> bytes:
    parts = [walk.encode(type(value)), walk.encode(value.shape)]
    if value.ndim == 2:
        matrix = value.tocsr()
        if not matrix.has_canonical_format:
            matrix = matrix.copy() if matrix is value else matrix
            matrix.sum_duplicates()
        content = [matrix.data, *(_wide(i) for i in (matrix.indices, matrix.indptr))]
    else:
        matrix = value.tocoo(copy=True)
        matrix.sum_duplicates()
        content = [matrix.data, *map(_wide, matrix.coords)]
    return node(b"sparse", [*parts, *(_encode_array(walk, part) for part in content)])


def _wide(indices: Any) -> np.ndarray[Any, Any]:
    return np.asarray(indices, dtype=np.int64)


# pandas


def _encode_frame(walk: _Walk, value: Any) -> bytes:
    parts = [walk.encode(type(value)), walk.encode(value.columns)]
    parts.append(walk.encode(value.index))
    for position in range(value.shape[1]):
        label = f"[{summarize(value.columns[position])}]"
        parts.append(walk.child(label, value.iloc[:, position].array))
    return node(b"frame", [*parts, walk.encode(dict(value.attrs))])


def _encode_series(walk: _Walk, value: Any) -> bytes:
    parts = (type(value), value.name, value.index, value.array, dict(value.attrs))
    return node(b"series", [walk.encode(part) for part in parts])


def _encode_index(walk: _Walk, value: Any) -> bytes:
    parts: list[object] = [type(value), list(value.names)]
    if hasattr(value, "step"):
        parts += value.start, value.stop, value.step
    elif value.nlevels > 1:
        parts += [value.get_level_values(i).array for i in range(value.nlevels)]
    else:
        parts += value.array, getattr(value, "freqstr", None)
    return node(b"index", [walk.encode(part) for part in parts])


def _encode_extension_array(walk: _Walk, value: Any) -> bytes:
    dtype = str(value.dtype)
    if hasattr(value, "codes"):
        content: tuple[object, ...] = (value.categories, value.codes, value.ordered)
    elif isinstance(value.dtype, np.dtype) or hasattr(value.dtype, "numpy_dtype"):
        missing = value.isna()
        plain = not missing.any() or isinstance(value.dtype, np.dtype)
        content = (missing, value.to_numpy() if plain else value.to_numpy(dtype=object))
    elif dtype.startswith("datetime64"):  # with a time zone
        content = (value.asi8,)
    else:
        content = (value.to_numpy(dtype=object),)
    return node(b"column", (encode_str(dtype), *map(walk.encode, content)))


# Keras, PyTorch, JAX


def _encode_tensor(walk: _Walk, value: Any) -> bytes:
    parts = [walk.encode(type(value)), encode_str(str(value.dtype))]
    if hasattr(value, "detach"):  # PyTorch; NumPy has no bfloat16
        value = value.detach().cpu()
        value = value.float() if "bfloat16" in str(value.dtype) else value
    content = value.numpy() if hasattr(value, "numpy") else np.asarray(value)
    return node(b"tensor", [*parts, walk.encode(content)])


def _encode_callback(walk: _Walk, value: Any) -> bytes:
    own = is_library(type(value).__module__)
    dropped = _CALLBACK_LINKS | (_CALLBACK_STATE if own else frozenset())
    state = {k: v for k, v in vars(value).items() if k not in dropped}
    return node(b"callback", [walk.encode(type(value)), *walk.attributes(state)])


def _encode_keras(walk: _Walk, value: Any) -> bytes:
    config = {"": _keras_config(value, "get_config")}
    if getattr(value, "compiled", False):
        config["compile"] = _keras_config(value, "get_compile_config")
    name = str((config[""] or {}).get("name", ""))
    if _is_automatic(name, type(value).__name__):
        del config[""]["name"]
    parts = [walk.encode(type(value)), walk.child("", _plain(config, {}))]
    parts += [walk.encode(item) for item in _keras_user_code(value)]
    if hasattr(value, "get_weights"):
        parts += [walk.encode(weight) for weight in value.get_weights()]
    elif hasattr(value, "update_step") and getattr(value, "built", False):
        parts += [walk.encode(np.asarray(weight)) for weight in value.variables]
    return node(b"keras", parts)


def _keras_config(value: Any, method: str) -> dict[str, Any]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a lambda could not be loaded again
            return dict(getattr(value, method)() or {})
    except Exception as error:
        raise _Unkeyable(value, f"its {method} method failed ({error})") from error


def _is_automatic(name: str, class_name: str) -> bool:
    """Say whether Keras made up the name: ``adam``, ``adam_1``, ..."""
    snake = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", class_name)
    snake = re.sub(r"([a-z])([A-Z])", r"\1_\2", snake).lower()
    return re.fullmatch(rf"{re.escape(snake)}(_\d+)?", name) is not None


def _is_dumped_lambda(config: dict[str, Any]) -> bool:
    """Say whether it is what ``python_utils.func_dump`` of Keras made of a lambda."""
    dumped = config.get("value")
    return config.keys() == {"value", "defaults", "closure"} or (
        config.keys() == {"value"}
        and isinstance(dumped, list | tuple)
        and len(dumped) == 3
        and isinstance(dumped[0], str)
    )


def _plain(config: Any, names: dict[str, str]) -> Any:
    """Replace the names that Keras made up, which count all objects of a process.

    Functions and classes of the user are left out: a configuration has their names
    only, or a lambda's code with its line numbers; their code is keyed beside it.
    """
    if isinstance(config, dict):
        kind = str(config.get("class_name", ""))
        if kind == "__lambda__" or _is_dumped_lambda(config):
            return "__lambda__"
        inner = config.get("config")
        name = inner.get("name") if isinstance(inner, dict) else None
        if kind and isinstance(name, str) and _is_automatic(name, kind):
            names.setdefault(name, f"{kind}#{len(names)}")
        skipped = {"module", "registered_name"} if kind else set()
        return {k: _plain(v, names) for k, v in config.items() if k not in skipped}
    if isinstance(config, list | tuple):
        return [_plain(item, names) for item in config]
    return names.get(config, config) if isinstance(config, str) else config


def _keras_user_code(value: Any) -> Iterator[object]:
    """Find the user's functions and classes in a tree of Keras objects."""
    stack, seen = [value], set()
    while stack:
        item = stack.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, functools.partial):
            yield item
        elif isinstance(item, types.FunctionType | types.MethodType):
            if not is_library(item.__module__):
                yield item
        elif isinstance(item, dict):
            stack += reversed(list(item.values()))
        elif isinstance(item, list | tuple):
            stack += reversed(item)
        elif _framework(type(item)) == "keras" and hasattr(item, "__dict__"):
            if item is not value:
                yield type(item)
            # Not the graph that layers are part of, nor what Keras wraps for itself.
            stack += [
                part
                for name, part in sorted(vars(item).items(), reverse=True)
                if name not in ("_inbound_nodes", "_outbound_nodes", "_tracker")
                and name not in ("build", "quantize", "_auto_config")
            ]
        elif not (isinstance(item, type) or is_library(type(item).__module__)):
            yield item  # such as a loss that is an object of the user's


# Which handler for which class

_CONTAINERS: dict[type, tuple[_Handler, bool]] = {
    list: (_sequence(b"list"), False),
    tuple: (_sequence(b"tuple"), False),
    dict: (_encode_dict, False),
    set: (_encode_set, False),
    frozenset: (_encode_set, False),
}
_EXACT: dict[type, tuple[_Handler, bool]] = {
    **_CONTAINERS,
    types.FunctionType: (encode_function, True),
    types.MethodType: (_encode_method, False),
    types.BuiltinFunctionType: (_encode_builtin, False),
    types.MappingProxyType: (lambda walk, v: _encode_dict(walk, dict(v)), False),
    types.ModuleType: (lambda _walk, value: encode_module(value), False),
    types.CodeType: (lambda _walk, value: normalise(value).key, False),
    functools.partial: (_encode_partial, False),
    type(functools.lru_cache(len)): (_encode_cached, False),
    functools.cached_property: (_wrapper("func"), False),
    property: (_wrapper("fget", "fset", "fdel"), False),
    classmethod: (_wrapper("__func__"), False),
    staticmethod: (_wrapper("__func__"), False),
    random.Random: (_by_state(lambda value: value.getstate()), False),
    np.random.RandomState: (_by_state(lambda v: v.get_state(legacy=False)), False),
    np.random.Generator: (_by_state(lambda value: value.bit_generator), False),
    np.random.SeedSequence: (_by_state(lambda value: value.state), False),
}
# Looked up in this order by isinstance, after the classes above.
_BASES: list[tuple[type, tuple[_Handler, bool]]] = [
    (type, (encode_class, True)),
    (Enum, (_encode_enum, True)),
    (np.ndarray, (_encode_array, False)),
    (np.generic, (_encode_array, False)),
    (np.dtype, (_encode_dtype, False)),
    (
        np.random.BitGenerator,
        (_by_state(lambda value: (value.state, _seed_sequence(value))), False),
    ),
    (set, (_encode_set, False)),
    (frozenset, (_encode_set, False)),
    # What a logger does with a message does not change a score.
    (logging.Logger, (lambda _walk, _value: b"L", False)),
]
# By the name of a class's module, of a class that it derives from, and the handler.
_BY_NAME: list[tuple[str, str, _Handler]] = [
    ("sklearn", "MetadataRequest", _encode_requests),
    ("sklearn", "_PassthroughScorer", _encode_passthrough),
    ("scipy", "rv_frozen", _encode_frozen),
    ("scipy", "rv_generic", _by_state(lambda value: value._updated_ctor_param())),
    ("scipy", "_spbase", _encode_sparse),
    ("scipy", "spmatrix", _encode_sparse),
    ("pandas", "DataFrame", _encode_frame),
    ("pandas", "Series", _encode_series),
    ("pandas", "Index", _encode_index),
    ("pandas", "ExtensionArray", _encode_extension_array),
    ("torch", "Tensor", _encode_tensor),
    ("torch", "TensorBase", _encode_tensor),
    ("jax", "ArrayImpl", _encode_tensor),
    ("tensorflow", "Tensor", _encode_tensor),
    ("tensorflow", "Variable", _encode_tensor),
    ("keras", "Variable", _encode_tensor),
    ("keras", "Callback", _encode_callback),
]
_PACKAGES = {
    "jaxlib": "jax",
    "tf_keras": "keras",
    "tensorflow.python.keras": "keras",
    "tensorflow.keras": "keras",
}


def _package(cls: type) -> str:
    module = cls.__module__ or ""
    for prefix, package in _PACKAGES.items():
        if f"{module}.".startswith(f"{prefix}."):
            return package
    return module.partition(".")[0]


def _framework(cls: type) -> str | None:
    """Say whether a class is Keras's or derives from one of Keras's."""
    return "keras" if any(_package(base) == "keras" for base in cls.__mro__) else None


def _handler_of(cls: type) -> tuple[_Handler, bool]:
    """Give the handler for a class, and whether its instances may hold themselves."""
    found = _EXACT.get(cls) or _handlers.get(cls)
    if found is None:
        found = _handlers[cls] = _find_handler(cls)
    return found


def _find_handler(cls: type) -> tuple[_Handler, bool]:
    if any(base in _registered for base in cls.__mro__):
        return _encode_registered, False
    if hasattr(cls, "__resumable_search_key__"):
        return _encode_own_key, False
    for base, found in _BASES:
        if issubclass(cls, base):
            return found
    names = {(_package(base), base.__name__) for base in cls.__mro__}
    for package, name, handler in _BY_NAME:
        if (package, name) in names:
            return handler, False
    if hasattr(cls, "get_params"):
        return _encode_estimator, False
    if _framework(cls) == "keras" and hasattr(cls, "get_config"):
        return _encode_keras, False
    return _encode_instance, True


def _encode_registered(walk: _Walk, value: Any) -> bytes:
    function = next(_registered[b] for b in type(value).__mro__ if b in _registered)
    key = walk.child(" -> registered key", function(value))
    return node(b"registered", (class_name(type(value)), key))


def _encode_own_key(walk: _Walk, value: Any) -> bytes:
    key = walk.child(" -> own key", value.__resumable_search_key__())
    return node(b"own", (class_name(type(value)), key))


# The interface


def fingerprint(value: object, name: str = "value") -> str:
    """Give a key that is the same for equal values, in this process and any other.

    Parameters
    ----------
    value : object
        What a score depends on: an estimator, a parameter's value, data, a scorer.
    name : str, default="value"
        What errors call it, such as ``"estimator"``.

    Returns
    -------
    str
        128 bits as 32 hexadecimal digits.

    Raises
    ------
    FingerprintError
        If the value, or one inside it, has no key that is sure to change with it.
    """
    try:
        code = _Walk().encode(value)
    except _Unkeyable as error:
        path = name + "".join(reversed(error.path))
        raise FingerprintError(_explain(path, error)) from error
    except RecursionError as error:
        raise FingerprintError(
            f"The value of {name} must not be nested deeper than Python's recursion "
            f"limit of {sys.getrecursionlimit()} allows. Got {summarize(value)}."
        ) from error
    return hashlib.blake2b(code, digest_size=16).hexdigest()


def _explain(path: str, error: _Unkeyable) -> str:
    cls = type(error.value)
    kind = f"{cls.__module__}.{cls.__qualname__}"
    return (
        f"{path} must be something that tells when it has changed, because finished "
        f"folds are only reused for equal values. Got {summarize(error.value)} of type "
        f"{kind} instead: {error}. Open files, locks, connections, generators and the "
        "like have no content to compare. Create it inside the function or method that "
        "needs it, or give its class a method __resumable_search_key__(self) that "
        "returns a plain value which changes when results do, or call "
        f"resumable_search.register_key({cls.__name__}, function) for a class that is "
        "not yours."
    )


def register_key(cls: type, function: Callable[[Any], object]) -> None:
    """Say how the objects of a class are told apart when folds are reused.

    A finished fold is reused when the estimator, the parameters, the data, the splits
    and the scorer are the ones it was computed with. Most objects are compared by
    their content. For a class where that cannot work (it holds a connection, say), or
    where less is enough, give a function that returns what counts. A class of your own
    can have a method ``__resumable_search_key__(self)`` instead.

    Parameters
    ----------
    cls : type
        The class. Its subclasses are included, unless they have a function of theirs.
        Not one of Python's and NumPy's values and containers.
    function : callable
        Called with the object. Returns a value that is different when the scores may
        be: a number, text, an array, a tuple or dict of such values, ... It is
        compared along with the name of the object's class.

    Raises
    ------
    TypeError
        If `cls` is not such a class, or `function` cannot be called.

    Examples
    --------
    >>> from resumable_search import register_key
    >>> class Tokenizer:
    ...     def __init__(self, path):
    ...         self.path, self.file = path, open(path)
    >>> register_key(Tokenizer, lambda tokenizer: tokenizer.path)
    """
    if not isinstance(cls, type) or cls in {object, *_ATOMS, *_EXACT}:
        raise TypeError(
            "The 'cls' parameter of register_key must be a class other than Python's "
            f"and NumPy's own values and containers. Got {cls!r} instead."
        )
    if not callable(function):
        raise TypeError(
            "The 'function' parameter of register_key must be a callable that takes "
            f"an object of the class. Got {function!r} instead."
        )
    _registered[cls] = function
    _handlers.clear()


def digest(*parts: str) -> str:
    """Combine fingerprints, in this order, into one."""
    content = b"".join(map(encode_str, parts))
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def parameter_table(estimator: Any) -> dict[str, tuple[str, str]]:
    """List an estimator's parameters, nested ones too, to say later what changed.

    Returns
    -------
    dict of str to (str, str)
        For each parameter its fingerprint (empty where there is none) and a short
        text. ``""`` is the estimator's class. An estimator within is listed by its
        class; its parameters follow under ``name__parameter``.
    """
    values = {"": estimator, **estimator.get_params(deep=True)}
    return {
        name: (_fingerprint_or_empty(_outline(value), name), _describe(value))
        for name, value in sorted(values.items())
    }


def _is_estimator(value: object) -> bool:
    return hasattr(value, "get_params") and not isinstance(value, type)


def _outline(value: object) -> object:
    if _is_estimator(value):
        return type(value)
    if type(value) in (list, tuple):
        return [_outline(item) for item in value]  # type: ignore[attr-defined]
    return value


def _fingerprint_or_empty(value: object, name: str) -> str:
    try:
        return fingerprint(value, name)
    except FingerprintError:
        return ""


def _describe(value: object) -> str:
    cls = type(value)
    return (
        f"{cls.__module__}.{cls.__qualname__}"
        if _is_estimator(value)
        else summarize(value)
    )


class _ShortRepr(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = 70
        self.maxlevel = 3

    def repr_instance(self, x: Any, level: int) -> str:
        return _summarize_object(x) or super().repr_instance(x, level)


_short = _ShortRepr()


def summarize(value: object) -> str:
    """Describe a value in at most 80 characters, without its place in memory."""
    try:
        text = _summarize_object(value) or _short.repr(value)
        text = re.sub(r" at 0x[0-9A-Fa-f]+", "", text)
    except Exception:  # whatever a user's __repr__ does
        text = f"{type(value).__name__}(...)"
    text = " ".join(text.split())
    return text if len(text) <= 80 else text[:79] + "…"


def _defined(cls: type) -> set[str]:
    return {name for base in cls.__mro__[:-1] for name in vars(base)}


def _summarize_object(value: Any) -> str | None:
    cls = type(value)
    if isinstance(value, type):
        return f"class {value.__qualname__}"
    if isinstance(value, types.FunctionType | types.BuiltinFunctionType):
        return f"function {value.__qualname__}"
    if isinstance(value, np.generic):
        return repr(value.item())
    if hasattr(cls, "shape") and not isinstance(value, np.dtype):
        dtype = getattr(value, "dtype", "")
        return f"{cls.__name__} {tuple(value.shape)} {dtype}".rstrip()
    if hasattr(cls, "get_params") or "__repr__" not in _defined(cls):
        return f"{cls.__name__}(...)"
    return None
