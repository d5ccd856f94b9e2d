"""What a class or function of the user's carries beside its code.

Enums, dataclasses and abstract classes have state that is not in their bodies as
other attributes are; annotations are only text to most code, and data to some.
"""

import abc
import dataclasses
import enum
import types
from collections.abc import Iterator, Mapping
from typing import Any

from .encoding import encode_str
from .walk import Walk

__all__ = [
    "READS_ANNOTATIONS",
    "encode_annotations",
    "encode_enum_body",
    "encode_registrations",
    "metadata",
]

#: Code that mentions one of these may read annotations.
READS_ANNOTATIONS = frozenset(
    {
        *("__annotations__", "get_type_hints", "get_annotations", "signature"),
        *("type_hints", "getfullargspec"),
    }
)


def encode_enum_body(walk: Walk, cls: type[enum.Enum]) -> Iterator[bytes]:
    """Encode the members of an enum in their order, with attributes set on them."""
    for name, member in cls.__members__.items():
        label = f" -> member '{name}'"
        yield encode_str(name)
        yield walk.child(label, member.value)
        if name == member.name:  # and no alias
            more = {k: v for k, v in vars(member).items() if not k.startswith("_")}
            yield from walk.attributes(more)
    missing = vars(cls).get("_missing_")
    if missing is not None:
        yield walk.child(" -> attribute '_missing_'", missing)


def metadata(cls: type) -> dict[str, Mapping[Any, Any]]:
    """Return the metadata of a dataclass's own fields, by name."""
    if "__dataclass_fields__" not in vars(cls):
        return {}
    fields = dataclasses.fields(cls)
    return {field.name: dict(field.metadata) for field in fields if field.metadata}


def encode_registrations(walk: Walk, cls: type) -> Iterator[bytes]:
    """Encode the classes that are registered as subclasses of an abstract class."""
    if not isinstance(cls, abc.ABCMeta) or "_abc_impl" not in vars(cls):
        return
    registered = [reference() for reference in abc._get_dump(cls)[0]]  # type: ignore[attr-defined]
    classes = [found for found in registered if found is not None]
    for found in sorted(classes, key=lambda c: (c.__qualname__, c.__module__)):
        yield walk.child(f" -> registered class '{found.__qualname__}'", found)


def encode_annotations(
    walk: Walk, names: frozenset[str], scope: Mapping[str, Any], own: frozenset[str]
) -> Iterator[bytes]:
    """Encode the annotations of what code names, where it may read annotations.

    Parameters
    ----------
    walk : Walk
        The walk.
    names : frozenset of str
        All names and attributes in the code.
    scope : mapping
        Its globals.
    own : frozenset of str
        Those of them that it reads.
    """
    if not names & READS_ANNOTATIONS:
        return
    for name in sorted(own & scope.keys()):
        value = scope[name]
        if not isinstance(value, type | types.FunctionType):
            continue
        found = vars(value).get("__annotations__") or getattr(
            value, "__annotations__", None
        )
        if isinstance(found, dict) and found:
            label = f" -> annotations of '{name}'"
            yield encode_str(name)
            yield walk.child(label, found)
