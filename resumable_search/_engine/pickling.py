"""Pickles of what a script defines, for processes that do not import the script.

cloudpickle carries functions and classes of ``__main__`` with their definitions. Five
things come on top. Code keeps its file and lines, which tracebacks and debuggers show.
A worker uses hidden generators, the environment and streams of its own. Functions of
`functools.singledispatch`, whose caches cloudpickle cannot carry, can be sent, and so
can Keras objects of the user's classes and data sets of CatBoost. And what was defined
in ``__main__`` has its name there in the worker, so that others (joblib's ``Memory``,
`multiprocessing`) can pickle it by name.

Private names of cloudpickle (3.0 to 3.1): the functions that make what was carried, and
the tables by which it knows the classes again.
"""

import contextlib
import functools
import io
import marshal
import pickle
import sys
from collections.abc import Callable, Iterable, Iterator
from types import CodeType, FunctionType, MappingProxyType
from typing import Any

import cloudpickle

from .._keys.boosting import pool_arguments
from .._keys.held import find_global, name_of_global
from .keras_pickling import reduce_keras

__all__ = ["definitions_put_back", "dumps", "forget_classes", "load", "loads"]

_MAKERS = frozenset({"_make_function", "_make_skeleton_class", "_make_skeleton_enum"})

# What has been given its name in __main__.
_named: dict[str, object] = {}


def dumps(
    value: object,
    buffer_callback: Callable[[pickle.PickleBuffer], object] | None = None,
) -> bytes:
    """Pickle `value`, whatever the script has defined in it."""
    with io.BytesIO() as file:
        _Pickler(file, protocol=5, buffer_callback=buffer_callback).dump(value)
        return file.getvalue()


def loads(pickled: bytes) -> Any:
    """Load what `dumps` wrote; see `load`."""
    return load(io.BytesIO(pickled))


def load(file: Any, buffers: Iterable[memoryview] = ()) -> Any:
    """Load what `dumps` wrote.

    What is defined in it and was defined in ``__main__`` gets its name there.
    """
    unpickler = _Unpickler(file, buffers=buffers)
    value = unpickler.load()
    main = sys.modules["__main__"]
    for made in unpickler.made:
        name = getattr(made, "__qualname__", "")
        if getattr(made, "__module__", None) == "__main__" and name.isidentifier():
            _named[name] = made
            setattr(main, name, made)
    return value


def forget_classes() -> None:
    """Have what is loaded next bring classes of its own.

    A class that came with its definition is otherwise the one that came before, with
    whatever has been set in it since.
    """
    tracker = cloudpickle.cloudpickle
    for name in ("_DYNAMIC_CLASS_TRACKER_BY_ID", "_DYNAMIC_CLASS_TRACKER_BY_CLASS"):
        getattr(tracker, name).clear()
    main = vars(sys.modules["__main__"])
    for name, made in _named.items():
        if main.get(name) is made:
            del main[name]
    _named.clear()


@contextlib.contextmanager
def definitions_put_back() -> Iterator[None]:
    """Leave, at the end, no trace of what was loaded in this process.

    Where the script runs, too, its classes and functions are to stay the script's.
    """
    tracker = cloudpickle.cloudpickle
    tables = [
        getattr(tracker, name)
        for name in ("_DYNAMIC_CLASS_TRACKER_BY_ID", "_DYNAMIC_CLASS_TRACKER_BY_CLASS")
    ]
    known = [dict(table) for table in tables]
    main = vars(sys.modules["__main__"])
    names = dict(main)
    try:
        yield
    finally:
        named = [name for name, made in _named.items() if main.get(name) is made]
        forget_classes()
        main.update({name: names[name] for name in named if name in names})
        for table, before in zip(tables, known, strict=True):
            table.update(before)


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    def reducer_override(self, obj: Any) -> Any:
        place = name_of_global(obj)
        if place is not None:
            return find_global, place
        if type(obj).__name__ == "Pool" and type(obj).__module__ == "catboost.core":
            arguments = pool_arguments(obj)
            if arguments is not None:
                return _make_pool, (type(obj), arguments)
        if type(obj) is CodeType:
            # With the file and the lines, which cloudpickle leaves out. What other
            # tools put into code cannot be marshalled.
            with contextlib.suppress(ValueError):
                return marshal.loads, (marshal.dumps(obj),)
        kept = reduce_keras(obj)
        if kept is not NotImplemented:
            return kept
        reduced = super().reducer_override(obj)
        # NotImplemented: it goes by its name.
        if reduced is NotImplemented or not _is_generic(obj):
            return reduced
        attributes = {
            name: value
            for name, value in vars(obj).items()
            if name not in ("register", "dispatch", "registry", "_clear_cache")
        }
        names = {name: getattr(obj, name) for name in functools.WRAPPER_ASSIGNMENTS[:3]}
        state = dict(obj.registry), {**names, "__doc__": obj.__doc__, **attributes}
        return _new_generic, (), state, None, None, _set_generic


def _make_pool(kind: Any, arguments: dict[str, Any]) -> Any:
    return kind(**arguments)


def _is_generic(value: Any) -> bool:
    """Return whether a value is a function of `functools.singledispatch`."""
    return (
        type(value) is FunctionType
        and value.__code__.co_filename == functools.singledispatch.__code__.co_filename
        and type(vars(value).get("registry")) is MappingProxyType
    )


def _new_generic() -> Any:
    return functools.singledispatch(lambda value: value)


def _set_generic(generic: Any, state: tuple[dict[type, Any], dict[str, Any]]) -> None:
    implementations, attributes = state
    for cls, function in implementations.items():
        generic.register(cls, function)
    for name, value in attributes.items():
        setattr(generic, name, value)


class _Unpickler(pickle.Unpickler):
    """Notes the functions and classes that come with their definitions."""

    def __init__(self, file: Any, **options: Any) -> None:
        super().__init__(file, **options)
        self.made: list[Any] = []

    def find_class(self, module: str, name: str) -> Any:
        found = super().find_class(module, name)
        is_maker = module == "cloudpickle.cloudpickle" and name in _MAKERS
        if is_maker or found is _new_generic:
            return functools.partial(self._make, found)
        return found

    def _make(self, maker: Callable[..., Any], *arguments: Any) -> Any:
        made = maker(*arguments)
        self.made.append(made)
        return made
