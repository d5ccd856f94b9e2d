"""What a fit has left in an estimator: where it counts, and where it does not."""

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

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
