"""Which attributes of a Keras object are Keras's, and which are the user's own.

What a Keras object is made with is in its configuration, if its class has told Keras
of it. A class of the user's often has not, so that the attributes which are not
Keras's own count too. Those that are Keras's are found in its code: the names that
the methods of its classes set.
"""

import dis
import types
from collections.abc import Iterator
from typing import Any

from .class_tables import ClassTable
from .library_code import is_library

# What Keras sets from elsewhere than the methods of the object's class, or by setattr.
_SET_FROM_OUTSIDE = frozenset(
    """optimizer _compile_config history _keras_api_names _tf_trackable_method_wrappers
    _obj_reference_counts_dict _functional _self_tracked_trackables""".split()  # noqa: SIM905 - a page of lines otherwise
)
# Plain attributes of Keras's base classes that tell what has been called, not what
# the object is; weights, configuration and flags of variables have their own place.
_NOISE = frozenset(
    """name built compiled stop_training stop_predicting stop_evaluating dtype
    steps_per_execution unrolled_steps_per_execution states""".split()  # noqa: SIM905 - likewise
)
# Where a module of PyTorch keeps some of its attributes.
_TORCH_TABLES = ("_parameters", "_buffers", "_modules")
_stored: ClassTable[frozenset[str]] = ClassTable()


def is_users(cls: type) -> bool:
    """Return whether a class is the user's."""
    return not is_library(cls.__module__)


def own_attributes(value: Any) -> dict[str, Any]:
    """Return the attributes that Keras has not set, sorted by name.

    Of an object of the user's class also the plain values that its base classes set
    under public names: the class may have set them anew, and its configuration need
    not tell.
    """
    attributes = dict(getattr(value, "__dict__", {}))
    for table in _TORCH_TABLES:
        attributes |= attributes.get(table) or {}
    names = _stored_names(type(value))
    also = is_users(type(value))
    return {
        name: item
        for name, item in sorted(attributes.items())
        if (name not in names and name not in _SET_FROM_OUTSIDE)
        or (also and _is_plain(name, item))
    }


def keras_attributes(value: Any) -> Iterator[Any]:
    """Iterate over the attributes that Keras has set, by name."""
    own = own_attributes(value)
    for name, item in sorted(getattr(value, "__dict__", {}).items()):
        # Not the graph that layers are part of, nor what Keras wraps for itself.
        if name in own or name in ("_inbound_nodes", "_outbound_nodes", "_tracker"):
            continue
        if name not in ("build", "quantize", "_auto_config", "_compile_config"):
            yield item


def _is_plain(name: str, item: object) -> bool:
    return (
        not name.startswith("_")
        and name not in _NOISE
        and isinstance(item, bool | int | float | str | None)
    )


def _stored_names(cls: type) -> frozenset[str]:
    """Return the names of attributes that the methods of library classes set."""
    found = _stored.get(cls)
    if found is None:
        names: set[str] = set()
        for base in cls.__mro__:
            if base is not object and not is_users(base):
                for member in vars(base).values():
                    names.update(_names_set_by(member))
        found = _stored.put(cls, frozenset(names))
    return found


def _names_set_by(member: Any) -> Iterator[str]:
    for wrapper in ("fget", "fset", "__func__"):
        inner = getattr(member, wrapper, None)
        if isinstance(inner, types.FunctionType):
            yield from _names_set_by(inner)
    while isinstance(member, types.FunctionType):
        stack = [member.__code__]
        while stack:
            code = stack.pop()
            stack += [c for c in code.co_consts if isinstance(c, types.CodeType)]
            for instruction in dis.get_instructions(code):
                if instruction.opname == "STORE_ATTR":
                    yield str(instruction.argval)
        member = getattr(member, "__wrapped__", None)
