"""Keys of classes that attrs and pydantic have written parts of."""

import pytest

from tests.keys.programs import keys_of

PYDANTIC = """
import pydantic
from typing import Annotated, Literal

def limit(value):
    return value + {step}

class Part(pydantic.BaseModel):
    name: Literal["b", "a", "c"] = "a"

class Settings(pydantic.BaseModel):
    depth: Annotated[int, pydantic.AfterValidator(limit)] = pydantic.Field(1, ge=0)
    rate: float = 0.5
    parts: list["Part"] = []
    later: "Later | None" = None

    @pydantic.field_validator("rate")
    @classmethod
    def check(cls, value):
        return value * {factor}

    @pydantic.computed_field
    @property
    def double(self) -> float:
        return self.rate * 2

class Later(pydantic.BaseModel):
    size: int = 3

class Waiting(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(defer_build=True)
    size: {kind} = 3

class Open(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    _hidden: int = pydantic.PrivateAttr(default={factor})

class Frozen(pydantic.BaseModel, frozen=True):
    size: int = 3

@pydantic.dataclasses.dataclass
class Data:
    size: pydantic.NonNegativeInt = 3

settings = Settings(depth=2, parts=[Part(name="b")])
def build():
    return settings.depth

VALUES = {{
    "class": Settings, "object": settings, "function": build,
    "waiting": Waiting, "open": Open(more={factor}),
    "adapter": pydantic.TypeAdapter(list[Settings]),
}}
SAME = {{"part": Part(), "frozen": Frozen(), "data": Data()}}
{use}
VALUES |= SAME
"""

# What pydantic builds when a class is used for the first time.
USE = """
import inspect
other = Settings()
other.rate = 0.75
Settings.model_json_schema(), inspect.signature(Settings), Settings.model_rebuild()
hash(Frozen()), Waiting(size=1), settings.model_dump()
VALUES["adapter"].json_schema()
"""

ATTRS = """
import attrs
@attrs.frozen
class Frozen:
    size: int = {size}
    names: list = attrs.field(factory=list, eq={eq})
@attrs.frozen(cache_hash=True)
class Cached:
    size: int = {size}
@attrs.define
class Plain:
    size: int = {size}
@attrs.define(slots=False, unsafe_hash=True)
class Dict:
    size: int = {size}
VALUES = {{c.__name__: c() for c in (Frozen, Cached, Plain, Dict)}}
hash(VALUES["Cached"])
"""


def _settings(folder, *, seed="1", use="", **edits):
    script = PYDANTIC.format(
        **{"step": 1, "factor": 1, "kind": "int", **edits}, use=use
    )
    return keys_of(folder, script, seed=seed)


def test_a_pydantic_model_has_the_same_key_in_each_process(tmp_path):
    """What pydantic builds for itself, and when, does not count."""
    pytest.importorskip("pydantic")
    keys = _settings(tmp_path)
    assert _settings(tmp_path, seed="2") == keys
    assert _settings(tmp_path, use=USE) == keys


def test_what_a_pydantic_model_does_counts(tmp_path):
    """A validator in an annotation, in a method, a field's type: another key."""
    pytest.importorskip("pydantic")
    keys = _settings(tmp_path)
    reached = {"class", "object", "function", "adapter"}
    assert _changed(keys, _settings(tmp_path, step=2)) == reached
    assert _changed(keys, _settings(tmp_path, factor=2)) == {*reached, "open"}
    assert _changed(keys, _settings(tmp_path, kind="float")) == {"waiting"}


@pytest.mark.parametrize("edit", [{"size": 2, "eq": True}, {"size": 1, "eq": False}])
def test_an_attrs_class_has_the_same_key_in_each_process(edit, tmp_path):
    """The number that attrs puts into a hash does not count, what is hashed does."""
    pytest.importorskip("attrs")
    first = keys_of(tmp_path, ATTRS.format(size=1, eq=True), seed="1")
    assert keys_of(tmp_path, ATTRS.format(size=1, eq=True), seed="2") == first
    edited = _changed(first, keys_of(tmp_path, ATTRS.format(**edit), seed="1"))
    assert edited == (set(first) if edit["size"] == 2 else {"Frozen"})


def _changed(keys, others):
    return {name for name, key in keys.items() if others[name] != key}
