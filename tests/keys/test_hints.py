"""Type variables, aliases and new types, and what else pickle stores by a name."""

import sys

import pytest

from .programs import keys_of

TYPING = """
from typing import NewType, ParamSpec, TypeVar
Units = NewType("Units", {kind})
T = TypeVar("T", bound={kind})
P = ParamSpec("P")

class Marker:
    def __init__(self, kind):
        self.kind = kind
    def __reduce__(self):
        return "MARKER"

MARKER = Marker({kind})

def reads(X):
    return Units.__supertype__, T.__bound__, P, MARKER.kind

VALUES = dict(new=Units, variable=T, marker=MARKER, reads=reads)
"""
GENERIC = """
type Units = list[{kind}]
type Pairs[T: {kind}] = dict[str, T]
type Nested = list[Nested] | {kind}

def alias(X):
    return Units.__value__
def pairs(X):
    return Pairs[int]
def nested(X):
    return Nested.__value__
def function[T: {kind}](X: T) -> T:
    return T.__bound__
def several[*Ts, **P, T: {kind}](X):
    return Ts, P, T
class Generic[T: {kind}]:
    def bound(self):
        return T.__bound__
def inside(X):
    type Local = {kind}
    def identity[T](value: T) -> T:
        return value
    return Local, identity
def wrong(X):
    type Unknown = Undefined
    return {kind}
type Undefined_ = NotThere
def undefined(X):
    return Undefined_, {kind}

VALUES = dict(
    alias=alias, pairs=pairs, nested=nested, function=function, several=several,
    cls=Generic, object=Generic(), part=Generic[int], inside=inside, wrong=wrong,
    undefined=undefined, itself=Units,
)
"""


@pytest.mark.parametrize(
    "script",
    [
        TYPING,
        pytest.param(
            GENERIC,
            marks=pytest.mark.skipif(
                sys.version_info < (3, 12), reason="a syntax of Python 3.12"
            ),
        ),
    ],
)
def test_they_count_by_what_they_stand_for(script, tmp_path):
    """They have a key, the same in each process, which changes with what they mean."""
    first = keys_of(tmp_path, script.format(kind="int"))
    again = keys_of(tmp_path, script.format(kind="int"), seed="3")
    changed = keys_of(tmp_path, script.format(kind="float"))
    assert first == again
    assert not [name for name in first if first[name] == changed[name]]


def test_what_pickle_stores_by_a_name_is_a_place_to_compare(tmp_path):
    """A worker finds another object under the name, if the script has changed it."""
    files = {"marks.py": TYPING.replace("VALUES", "OTHER").format(kind="int")}
    script = """
import marks
from resumable_search._keys.trace import trace
parts = [trace([value]).parts for value in (marks.MARKER, marks.T)]
marks.MARKER.kind = float
changed = trace([marks.MARKER]).parts
VALUES = dict(
    reached=[("marks", "MARKER") in parts[0], ("marks", "T") in parts[1]],
    same=parts[0]["marks", "MARKER"].key == changed["marks", "MARKER"].key,
    true=[True, True], false=False,
)
"""
    found = keys_of(tmp_path, script, files)
    assert found["reached"] == found["true"]
    assert found["same"] == found["false"]
