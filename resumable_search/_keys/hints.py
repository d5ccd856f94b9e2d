"""Keys of what type hints are made of: type variables, aliases, new types."""

from typing import Any

from .encoding import encode_str, node
from .library_code import is_library, resolves
from .walk import Handler, Walk

__all__ = ["HINTS_BY_NAME", "encode_hint"]

# What they may have. To read some of them evaluates code, in Python 3.12 and later.
_ATTRIBUTES = (
    *("__bound__", "__constraints__", "__default__", "__value__", "__type_params__"),
    *("__covariant__", "__contravariant__", "__infer_variance__", "__supertype__"),
)


def encode_hint(walk: Walk, value: Any) -> bytes:
    """Key a type variable, an alias or a new type by its name and what it stands for.

    Pickle stores it by the name that a module has it under, which tells nothing of
    that, and cannot store the variable of a generic function.
    """
    module, own = value.__module__, value.__name__
    if resolves(module, own, value):
        if is_library(module):
            return walk.library(b"global", module, own)
        walk.reach(module, own)
    parts = [walk.encode(type(value)), encode_str(own)]
    for name in _ATTRIBUTES:
        try:
            found = getattr(value, name)
        except AttributeError:
            continue
        except Exception as error:  # a name that is not defined, say
            found = type(error)
        if type(found).__name__ == "NoDefaultType":
            continue
        parts += encode_str(name), walk.child(f".{name}", found)
    return node(b"hint", parts)


#: By the package and name of a class.
HINTS_BY_NAME: list[tuple[str, str, Handler]] = [
    (package, name, encode_hint)
    for package in ("typing", "typing_extensions")
    for name in ("TypeVar", "ParamSpec", "TypeVarTuple", "TypeAliasType", "NewType")
]
