"""What a fit has left in an estimator: where it counts, and where it does not."""

import functools

import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.dummy import DummyClassifier
from sklearn.metrics import make_scorer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from resumable_search._exceptions import FingerprintError
from resumable_search._keys.fingerprint import fingerprint, keyed

X = np.array([[0.0], [1.0], [3.0]])


def scaler(shift=None):
    return StandardScaler() if shift is None else StandardScaler().fit(X + shift)


@pytest.mark.parametrize(
    "hold",
    [
        lambda inner: inner,
        lambda inner: [inner, (inner, "a")],
        lambda inner: {"a": inner},
        lambda inner: {inner},
        lambda inner: make_pipeline(inner, DummyClassifier()),
    ],
    ids=["itself", "list", "dict", "set", "pipeline"],
)
def test_what_is_cloned_counts_by_parameters(hold):
    """What a clone of the value does not have is no part of its key."""
    keys = {fingerprint(hold(scaler(s)), cloned=True) for s in (None, 0, 1)}
    assert len(keys) == 1
    assert len({fingerprint(hold(scaler(s))) for s in (None, 0, 1)}) == 3


def test_what_clone_copies_counts_whole():
    """A parameter that is no estimator keeps the fitted state of what it uses."""

    def key(shift):
        transformer = FunctionTransformer(scaler(shift).transform)
        return fingerprint(transformer, cloned=True)

    assert key(0) == key(0)
    assert key(0) != key(1) != key(None)


def test_key_names_the_packages_that_the_value_reaches():
    """The library of a class, function or module is named, Python's own is not."""
    assert keyed([StandardScaler(), np.mean, len]).packages == {"numpy", "sklearn"}


# Carriers of a fitted transformer: makers of what a search may be given.

GLOBAL = {"scaler": None}


def use_global(X):
    return GLOBAL["scaler"].transform(X)


def of_global(inner):
    GLOBAL["scaler"] = inner
    return use_global


def of_closure(inner):
    return lambda X: inner.transform(X)


def of_nested_closure(inner):
    def outer():
        return inner

    return lambda X: outer().transform(X)


def of_default(inner):
    return lambda X, inner=inner: inner.transform(X)


def of_keyword_default(inner):
    return lambda X, *, inner=inner: inner.transform(X)


def of_function_attribute(inner):
    def function(X):
        return function.inner.transform(X)

    function.inner = inner
    return function


def of_class_attribute(inner):
    class Transformer(TransformerMixin, BaseEstimator):
        scaler = inner

        def fit(self, X, y=None):
            return self

        def transform(self, X):
            return self.scaler.transform(X)

    return Transformer()


class Holder:
    def __init__(self, inner):
        self.inner = inner

    def transform(self, X):
        return self.inner.transform(X)


class Forgetful(Holder):
    """No estimator; what it was made of is not among its parameters."""

    def get_params(self):
        return {}


class Slotted:
    __slots__ = ("inner",)

    def __init__(self, inner):
        self.inner = inner

    def __call__(self, X):
        return self.inner.transform(X)


class Scorer:
    def __init__(self, inner):
        self.inner = inner

    def __call__(self, estimator, X, y):
        return estimator.score(self.inner.transform(X), y)


def score_scaled(y, predicted, scaler):
    return -np.abs(scaler.transform(predicted) - scaler.transform(y)).mean()


CARRIERS = {
    "global": of_global,
    "closure": of_closure,
    "nested closure": of_nested_closure,
    "default": of_default,
    "keyword default": of_keyword_default,
    "function attribute": of_function_attribute,
    "bound method": lambda inner: inner.transform,
    "bound method of a holder": lambda inner: Holder(inner).transform,
    "partial": lambda inner: functools.partial(use_global, inner),
    "keyword of a partial": lambda inner: functools.partial(use_global, X=inner),
    "class attribute": of_class_attribute,
    "scorer function": lambda inner: lambda est, X, y: est.score(inner.transform(X), y),
    "scorer object": Scorer,
    "argument of make_scorer": lambda inner: make_scorer(score_scaled, scaler=inner),
    "user object": Holder,
    "user object with get_params": Forgetful,
    "user object with slots": Slotted,
    "fitted pipeline": lambda inner: Pipeline([("scaler", inner)]),
    "dict": lambda inner: {"scaler": inner},
}


@pytest.mark.parametrize("name", CARRIERS)
def test_fitted_state_counts_whatever_carries_it(name):
    """A model fitted anew on the same data is the same, one on other data is not."""
    make = CARRIERS[name]
    one = fingerprint(make(scaler(0)))
    assert fingerprint(make(scaler(0))) == one
    assert fingerprint(make(scaler(1))) != one
    assert fingerprint(make(scaler())) != one


@pytest.mark.parametrize("name", CARRIERS)
def test_fitted_state_counts_in_a_parameter_that_clone_copies(name):
    """As the function of a transformer, the carrier counts with its state too."""

    def key(shift):
        transformer = FunctionTransformer(Slotted(CARRIERS[name](scaler(shift))))
        return fingerprint(make_pipeline(transformer, "passthrough"), cloned=True)

    assert key(0) == key(0)
    assert key(0) != key(1)


def test_candidates_with_methods_of_two_models_differ():
    """Two functions of one grid that differ by what was learned are two candidates."""
    keys = {
        fingerprint({"func": scaler(s).transform}, "candidate", cloned=True)
        for s in (0, 1)
    }
    assert len(keys) == 2


def test_parameters_that_no_clone_can_take_are_refused():
    """An estimator whose `get_params` fails in `clone` has no key as a clone."""
    with pytest.raises(FingerprintError, match="get_params"):
        fingerprint(Forgetful(1), cloned=True)
