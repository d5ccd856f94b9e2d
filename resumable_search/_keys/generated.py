"""What attrs and pydantic write into the classes that they make, without its ids.

Both put a number into a class that is another one in each process: attrs a hash of
text, pydantic the places of classes in memory. And pydantic keeps in a class what it
has built so far for its own use.
"""

import re
import types
from collections.abc import Callable, Iterator
from typing import Any

from .encoding import node
from .walk import Walk

_SCHEMA = "__pydantic_core_schema__"
# Made from the schema, from the fields or from the methods, which count; or filled by
# the first use of the class.
_MADE_BY_PYDANTIC = frozenset(
    """__pydantic_complete__ __pydantic_fields_complete__ __pydantic_decorators__
    __pydantic_parent_namespace__ __pydantic_serializer__ __pydantic_setattr_handlers__
    __pydantic_validator__ __signature__""".split()  # noqa: SIM905 - a page of lines otherwise
)
# By these a schema names its parts: "script.Settings:94251234567890".
_REFERENCES = frozenset({"ref", "schema_ref"})


def lasting_namespace(cls: type) -> Iterator[tuple[str, object]]:
    """Iterate over what a class has in its body, as it is in every process."""
    schema = _lasting_schema(vars(cls).get(_SCHEMA))  # may build the class to the end
    for name, value in vars(cls).items():
        if name == "__hash__" and _is_made_by_attrs(value):
            continue  # it follows from the attributes, which count
        if name == _SCHEMA:
            yield name, schema
        elif schema is None or name not in _MADE_BY_PYDANTIC:
            yield name, value


def _is_made_by_attrs(value: object) -> bool:
    return isinstance(value, types.FunctionType) and (
        value.__code__.co_filename.startswith("<attrs generated")
    )


def encode_type_adapter(walk: Walk, value: Any) -> bytes:
    """Key a TypeAdapter of pydantic by its schema."""
    schema = _lasting_schema(value.core_schema)
    return node(b"adapter", (walk.encode(type(value)), walk.child(" -> type", schema)))


def _lasting_schema(schema: Any) -> object:
    """Return the schema by which a class validates, its references by number."""
    rebuild: Callable[[], object] | None = getattr(schema, "rebuild", None)
    if rebuild is not None:  # put off until the first use
        schema = rebuild()
    return _numbered(schema, {})


def _numbered(schema: Any, numbers: dict[str, str]) -> Any:
    if type(schema) is dict:
        has_references = "type" in schema  # else the names are those of fields
        return {
            name: _by_number(part, numbers)
            if has_references and name in _REFERENCES and isinstance(part, str)
            else _numbered(part, numbers)
            for name, part in schema.items()
        }
    if type(schema) in (list, tuple):
        return type(schema)(_numbered(part, numbers) for part in schema)
    return schema


def _by_number(reference: str, numbers: dict[str, str]) -> str:
    return re.sub(
        r":\d+",
        lambda found: numbers.setdefault(found[0], f":{len(numbers)}"),
        reference,
    )
