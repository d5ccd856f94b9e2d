"""Where an order is part of a value, and where it is not."""

import collections
import functools

import numpy as np
import pytest
from sklearn.metrics import make_scorer
from sklearn.model_selection import GridSearchCV, ParameterGrid
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import FunctionTransformer

from resumable_search._keys.fingerprint import Keywords, fingerprint


class Rules:
    def __init__(self, rules):
        self.rules = rules


def function(**options):
    return options


def with_defaults(*, a=1, b=2):
    return a, b


def grid(pairs):
    return {name: [value] for name, value in pairs}


ONE, OTHER = (("good", "bad"), ("bad", "poor")), (("bad", "poor"), ("good", "bad"))


@pytest.mark.parametrize(
    "make",
    [
        dict,
        collections.OrderedDict,
        lambda pairs: collections.defaultdict(str, pairs),
        lambda pairs: {"rules": [dict(pairs)]},
        lambda pairs: Rules(dict(pairs)),
        lambda pairs: functools.partial(function, dict(pairs)),
        lambda pairs: lambda: dict(pairs),
        lambda pairs: collections.Counter([word for word, _ in pairs]),
        lambda pairs: FunctionTransformer(function, kw_args={"rules": dict(pairs)}),
    ],
)
@pytest.mark.parametrize("cloned", [False, True])
def test_a_dict_counts_in_its_order(make, cloned):
    """Code goes through a dict in its order, as through replacement rules."""
    one, again, other = (
        fingerprint(make(pairs), cloned=cloned) for pairs in (ONE, ONE, OTHER)
    )
    assert one == again != other


@pytest.mark.parametrize(
    "make",
    [
        set,
        frozenset,
        Keywords,
        lambda pairs: Rules(set(pairs)),
        lambda pairs: functools.partial(function, **dict(pairs)),
        lambda pairs: make_scorer(function, **dict(pairs)),
        lambda pairs: FunctionTransformer(function, kw_args=dict(pairs)),
        lambda pairs: KNeighborsClassifier(metric_params=dict(pairs)),
        lambda pairs: GridSearchCV(None, grid(pairs)),
        lambda pairs: GridSearchCV(None, [grid(pairs)]),
        lambda pairs: ParameterGrid(grid(pairs)),
    ],
)
@pytest.mark.parametrize("cloned", [False, True])
def test_sets_and_keyword_arguments_have_no_order(make, cloned):
    """What is looked up by name, or has no order, counts by its content."""
    one, other, less = (
        fingerprint(make(pairs), cloned=cloned) for pairs in (ONE, OTHER, ONE[:1])
    )
    assert one == other != less


def test_keyword_defaults_of_a_function_have_no_order():
    """Defaults of keyword-only parameters count by name."""
    before = fingerprint(with_defaults)
    defaults = with_defaults.__kwdefaults__
    try:
        with_defaults.__kwdefaults__ = dict(reversed(defaults.items()))
        assert fingerprint(with_defaults) == before
    finally:
        with_defaults.__kwdefaults__ = defaults


def test_attributes_have_no_order():
    """In which order an object got its attributes does not count."""
    one, other = Rules(1), Rules(1)
    one.a, one.b = 1, np.arange(2)
    other.b, other.a = np.arange(2), 1
    assert fingerprint(one) == fingerprint(other)
