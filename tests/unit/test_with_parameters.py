"""The estimator that a fold fits, as the keys of candidates look at it."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from resumable_search._sklearn_compat.estimators import with_parameters


def test_it_is_the_estimator_after_set_params():
    """Nested parameters are set on a copy; the original stays as it is."""
    pipeline = Pipeline([("reduce", PCA(2)), ("model", LogisticRegression())])

    found = with_parameters(pipeline, {"model__C": 3.0, "reduce": "passthrough"})

    assert found.get_params()["model__C"] == 3.0
    assert found.get_params()["reduce"] == "passthrough"
    assert pipeline.get_params()["model__C"] == 1.0
    assert isinstance(pipeline.get_params()["reduce"], PCA)


def test_an_estimator_among_the_parameters_stays_as_it_is():
    """A candidate may replace a step and set a parameter of the new one."""
    model = LogisticRegression()
    pipeline = Pipeline([("model", PCA(2))])

    found = with_parameters(pipeline, {"model": model, "model__C": 3.0})

    assert found.get_params()["model__C"] == 3.0
    assert model.C == 1.0


def test_large_values_are_shared():
    """An array in a parameter is not copied for each candidate."""

    class Weighted(BaseEstimator):
        def __init__(self, weights=None, power=1):
            self.weights = weights
            self.power = power

    estimator = Weighted(np.ones(3))

    assert with_parameters(estimator, {"power": 2}).weights is estimator.weights


def test_a_set_params_of_the_users_gets_a_copy():
    """What such a method changes in place is not the user's object."""

    class Configured(BaseEstimator):
        def __init__(self, config=None):
            self.config = config

        def set_params(self, **parameters):
            vars(self.config).update(parameters)
            return self

    class Config:
        rate = 1

    estimator = Configured(Config())

    assert with_parameters(estimator, {"rate": 2}).config.rate == 2
    assert estimator.config.rate == 1


def test_a_frozen_estimator_stays_fitted():
    """A class with its own way to be cloned is cloned by that."""
    frozen = pytest.importorskip("sklearn.frozen").FrozenEstimator
    fitted = PCA(1).fit(np.eye(3))
    pipeline = Pipeline([("frozen", frozen(fitted)), ("model", LogisticRegression())])

    found = with_parameters(pipeline, {"model__C": 2.0})

    assert found.named_steps["frozen"].estimator is fitted
