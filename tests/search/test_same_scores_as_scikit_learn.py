"""Searches that once scored otherwise than scikit-learn's own."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.datasets import make_regression
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from resumable_search import ResumableGridSearchCV, ResumableRandomizedSearchCV
from tests.conftest import assert_same_results

GRID = {"alpha": [0.1, 10]}


@pytest.fixture
def series():
    """Give X of shape (60, 3) and y of shape (60,)."""
    return make_regression(60, 3, noise=20, random_state=0)


@pytest.fixture
def history():
    """Give the train indices of a fixed training period."""
    return np.arange(30)


@pytest.fixture
def months():
    """Give the test indices of three periods after it."""
    return np.split(np.arange(30, 60), 3)


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_one_training_period_has_several_test_periods(series, history, months, n_jobs):
    """Splits that share a train array are told apart by their test indices."""
    cv = [(history, month) for month in months]
    ours = ResumableGridSearchCV(Ridge(), GRID, cv=cv, n_jobs=n_jobs).fit(*series)
    assert_same_results(
        ours.cv_results_, GridSearchCV(Ridge(), GRID, cv=cv).fit(*series).cv_results_
    )


def test_several_training_periods_have_one_test_period(series, history, months):
    """Splits that share a test array are told apart by their train indices."""
    cv = [(history[k:], months[0]) for k in (0, 10, 20)]
    ours = ResumableGridSearchCV(Ridge(), GRID, cv=cv).fit(*series)
    assert_same_results(
        ours.cv_results_, GridSearchCV(Ridge(), GRID, cv=cv).fit(*series).cv_results_
    )


def test_the_same_splits_as_other_objects_are_reused(series, history, months):
    """Splits count by their indices, whether their arrays are shared or not."""
    shared = [(history, month) for month in months]
    apart = [(history.copy(), month.tolist()) for month in months]
    ResumableGridSearchCV(Ridge(), GRID, cv=shared).fit(*series)
    again = ResumableGridSearchCV(Ridge(), GRID, cv=apart).fit(*series)
    assert again.resumption.n_run == 0


def test_another_test_period_runs(series, history, months):
    """A split whose train array is known and whose test indices are new runs."""
    ResumableGridSearchCV(Ridge(), GRID, cv=[(history, months[0])]).fit(*series)
    cv = [(history, month) for month in months[:2]]
    again = ResumableGridSearchCV(Ridge(), GRID, cv=cv).fit(*series)
    assert (again.resumption.n_resumed, again.resumption.n_run) == (2, 2)
    assert_same_results(
        again.cv_results_, GridSearchCV(Ridge(), GRID, cv=cv).fit(*series).cv_results_
    )


def test_sampled_candidates_share_a_train_array(series, history, months):
    """A randomized search tells splits apart as a grid search does."""
    cv = [(history, month) for month in months]
    sampled = {"n_iter": 2, "cv": cv, "random_state": 0}
    space = {"alpha": np.logspace(-2, 2, 9)}
    ours = ResumableRandomizedSearchCV(Ridge(), space, **sampled).fit(*series)
    theirs = RandomizedSearchCV(Ridge(), space, **sampled).fit(*series)
    assert_same_results(ours.cv_results_, theirs.cv_results_)


class FineTuned(RegressorMixin, BaseEstimator):
    """Trains a body that it got from elsewhere, in place, as transfer learning does."""

    def __init__(self, build=None, rate=1):
        self.build = build
        self.rate = rate

    def fit(self, X, y):
        body = self.build()
        body["weights"] += self.rate
        body["n_fits"].append(1)
        self.body_ = body
        return self

    def score(self, X, y=None):
        return float(self.body_["weights"].sum()) + 100 * len(self.body_["n_fits"])


def body_maker():
    body = {"weights": np.zeros(3), "n_fits": []}

    def build():
        return body

    return build, body


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_each_fold_gets_the_captured_object_as_it_was(data, n_jobs):
    """What a fold changes in an object that a function captured, no other fold sees."""
    build, body = body_maker()
    search = ResumableGridSearchCV(
        FineTuned(build), {"rate": [1, 2]}, cv=3, n_jobs=n_jobs, refit=False
    ).fit(*data)
    for split in range(3):
        # One fit, which began with the weights at zero.
        scores = search.cv_results_[f"split{split}_test_score"]
        np.testing.assert_array_equal(scores, [103.0, 106.0])
    assert body["n_fits"] == []  # nor does this process


def test_each_fold_gets_large_arrays_as_they_were(data):
    """A captured array that workers map is fresh in each fold, too."""
    weights = np.zeros(200_000)

    class Adds(BaseEstimator):
        def __init__(self, rate=1):
            self.rate = rate

        def fit(self, X, y=None):
            weights[:] += self.rate
            return self

        def score(self, X, y=None):
            return float(weights.max())

    search = ResumableGridSearchCV(Adds(), {"rate": [1, 2]}, cv=3, refit=False)
    results = search.fit(*data).cv_results_
    for split in range(3):
        np.testing.assert_array_equal(results[f"split{split}_test_score"], [1.0, 2.0])


def test_a_model_fitted_anew_is_another_search(data):
    """A captured fitted transformer counts by what it has learned."""
    X, y = data[0], data[1].astype(float)

    def pipeline(corpus):
        scaler = StandardScaler().fit(corpus)
        return make_pipeline(
            FunctionTransformer(lambda Z: np.tanh(scaler.transform(Z))), Ridge()
        )

    grid = {"ridge__alpha": [0.1, 10]}
    for corpus in (X, 3 * X + 1):
        model = pipeline(corpus)
        ours = ResumableGridSearchCV(model, grid, cv=3).fit(X, y)
        assert ours.resumption.n_resumed == 0
        assert_same_results(
            ours.cv_results_, GridSearchCV(model, grid, cv=3).fit(X, y).cv_results_
        )
    assert (
        ResumableGridSearchCV(pipeline(X), grid, cv=3).fit(X, y).resumption.n_run == 0
    )


def test_two_fitted_models_are_two_candidates(data):
    """Candidates that are methods of two fitted models have a score each."""
    X, y = data[0], data[1].astype(float)
    models = [StandardScaler().fit(X), StandardScaler().fit(9 * X + 2)]
    pipe = make_pipeline(FunctionTransformer(), FunctionTransformer(np.tanh), Ridge())
    grid = {"functiontransformer-1__func": [model.transform for model in models]}
    ours = ResumableGridSearchCV(pipe, grid, cv=3).fit(X, y)
    theirs = GridSearchCV(pipe, grid, cv=3).fit(X, y)
    for split in range(3):
        name = f"split{split}_test_score"
        np.testing.assert_array_equal(ours.cv_results_[name], theirs.cv_results_[name])
    assert len(set(ours.cv_results_["mean_test_score"])) == 2
