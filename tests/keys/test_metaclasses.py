"""Metaclasses that compare their classes as they like."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator

from resumable_search import ResumableGridSearchCV, register_irrelevant, register_key
from resumable_search._keys.fingerprint import fingerprint

from .programs import keys_of

UNHASHABLE = """
import abc
import dataclasses
from sklearn.base import BaseEstimator

class Meta(abc.ABCMeta):
    def __eq__(self, other):
        return self is other

class Plain(metaclass=Meta):
    units = {units}

class Sub(Plain):
    pass

@dataclasses.dataclass
class Data(metaclass=Meta):
    units: int = {units}

class Items(list, metaclass=Meta):
    pass

class Model(BaseEstimator, metaclass=Meta):
    def __init__(self, units={units}):
        self.units = units

def reads(X):
    return Plain().units

VALUES = dict(
    cls=Plain, plain=Plain(), sub=Sub(), data=Data(), items=Items([{units}]),
    model=Model(), reads=reads, nested={{"a": [Sub]}},
)
"""


def test_classes_without_a_hash_have_a_key(tmp_path):
    """They and their instances, the same in every process."""
    first = keys_of(tmp_path, UNHASHABLE.format(units=1))
    again = keys_of(tmp_path, UNHASHABLE.format(units=1), seed="3")
    changed = keys_of(tmp_path, UNHASHABLE.format(units=2))
    assert first == again
    assert not [name for name in first if first[name] == changed[name]]


class AllEqual(type):
    def __eq__(self, other):
        return True

    def __hash__(self):
        return hash(list)


def test_classes_that_are_equal_are_not_taken_for_each_other():
    """Nor for a class of Python's that they say they are equal to."""

    class One(metaclass=AllEqual):
        def __init__(self, units):
            self.units = units

    class Other(One):
        def __resumable_search_key__(self):
            return "always"

    one, two = fingerprint(One(1)), fingerprint(One(2))
    assert one != two
    assert fingerprint(Other(1)) == fingerprint(Other(2))
    assert fingerprint(One(1), cloned=True) == one


def test_a_key_can_be_registered_for_a_class_without_a_hash():
    """And parameters that do not count, too."""

    class Meta(type):
        def __eq__(self, other):
            return self is other

    class Model(BaseEstimator, metaclass=Meta):
        def __init__(self, folder="a"):
            self.folder = folder

    register_irrelevant(Model, "folder")
    assert fingerprint(Model("a")) == fingerprint(Model("b"))
    register_key(Model, lambda model: model.folder)
    assert fingerprint(Model("a")) != fingerprint(Model("b"))


@pytest.mark.slow
def test_a_module_with_such_an_object_runs_in_workers(tmp_path, monkeypatch):
    """A fold reads it where the worker has imported it."""
    text = UNHASHABLE.format(units=3) + (
        "plain = Plain()\n"
        "class Reads(BaseEstimator):\n"
        "    def fit(self, X, y=None):\n"
        "        return self\n"
        "    def score(self, X, y=None):\n"
        "        return float(plain.units)\n"
    )
    (tmp_path / "unhashable.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    import unhashable

    for n_run in (2, 0):
        search = ResumableGridSearchCV(
            unhashable.Reads(), {}, cv=2, refit=False, checkpoint=tmp_path / "c.sqlite"
        ).fit(np.zeros((8, 1)), [0, 1] * 4)
        assert search.cv_results_["mean_test_score"] == [3.0]
        assert search.resumption.n_run == n_run
