"""A worker takes over the normal form of code that its parent has worked out."""

import types

import numpy as np
import pytest

from resumable_search._keys import bytecode
from resumable_search._keys.bytecode import normalise, noted, take_over

SOURCE = """
def scaled(X, factor=2.5):
    return [[inner * factor for inner in row] for row in X if row is not None]
"""


def compiled(source: str = SOURCE, file: str = "scaling.py") -> types.CodeType:
    """Return the code of the function in a source, compiled anew."""
    scope: dict[str, types.FunctionType] = {}
    exec(compile(source, file, "exec"), scope)
    return scope["scaled"].__code__


@pytest.fixture(autouse=True)
def _new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bytecode, "_normalised", {})
    monkeypatch.setattr(bytecode, "_taken_over", {})


def _refuse(code: types.CodeType) -> None:
    raise AssertionError(f"{code} was normalised again")


def test_the_same_code_is_not_normalised_again(monkeypatch):
    with noted() as codes:
        there = normalise(compiled())
    take_over(codes)
    monkeypatch.setattr(bytecode, "_normalise", _refuse)
    assert normalise(compiled()) == there


def test_code_that_was_normalised_before_is_noted_too():
    code = compiled()
    normalise(code)
    with noted() as codes:
        normalise(code)
    assert codes


def test_threads_that_note_at_the_same_time_do_not_disturb_each_other():
    """As fits in several threads do. Each has at least what it asked for."""
    with noted() as outer:
        with noted() as inner:
            normalise(compiled())
        normalise(compiled(SOURCE.replace("row is not", "row is")))
    assert inner.items() < outer.items()


def test_code_with_a_constant_that_no_source_has_is_normalised_here():
    """Put there by a program; marshal would write its bytes."""
    code = compiled("def scaled(X):\n    return X * 2.5")
    consts = tuple(np.float64(2.5) if c == 2.5 else c for c in code.co_consts)
    with noted() as codes:
        normalise(code.replace(co_consts=consts))
    assert codes == {}


def test_code_of_another_file_is_normalised_here(monkeypatch):
    with noted() as codes:
        normalise(compiled())
    take_over(codes)
    monkeypatch.setattr(bytecode, "_normalise", _refuse)
    with pytest.raises(AssertionError, match="normalised again"):
        normalise(compiled(file="other.py"))


def test_edited_code_is_normalised_here():
    with noted() as codes:
        there = normalise(compiled())
    take_over(codes)
    edited = SOURCE.replace("inner * factor", "inner / factor")
    assert normalise(compiled(edited)).key != there.key


CONSTANTS = ["0.0", "-0.0", "1", "1.0", "True", "(1,)", "(1.0,)", "'1'", "b'1'"]


@pytest.mark.parametrize("constant", CONSTANTS)
def test_code_with_another_constant_is_other_code(constant):
    sources = [f"def scaled():\n    return {other}" for other in CONSTANTS]
    with noted() as codes:
        normalise(compiled(sources[CONSTANTS.index(constant)]))
    take_over(codes)
    keys = {normalise(compiled(source)).key for source in sources}
    assert len(keys) == len(CONSTANTS)
