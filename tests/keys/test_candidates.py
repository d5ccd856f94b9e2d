"""Keys of candidates: what is the same estimator in the end is the same candidate."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC

from resumable_search import ResumableGridSearchCV
from resumable_search._exceptions import FingerprintError
from resumable_search._keys.candidates import CandidateKeys


def key(estimator, **parameters):
    return CandidateKeys(estimator).of(parameters).key


def test_a_parameter_at_its_default_does_not_count():
    """The same value in the grid, on the estimator and as the default are one."""
    assert (
        key(SVC(), C=1.0)
        == key(SVC(), C=1.0, kernel="rbf")
        == key(SVC(C=1.0, kernel="rbf"))
        == key(SVC(C=7.0), C=1.0)
    )


def test_another_value_is_another_candidate():
    """A value that differs from the default counts, wherever it is set."""
    keys = {key(SVC()), key(SVC(), kernel="linear"), key(SVC(), C=2.0)}

    assert len(keys) == 3
    assert key(SVC(kernel="linear")) == key(SVC(), kernel="linear")


def test_a_parameter_of_a_step_counts_as_if_set_there():
    """Nested names count by the estimator that they lead to."""
    pipeline = Pipeline([("reduce", PCA(2)), ("model", SVC())])
    set_there = Pipeline([("reduce", PCA(2)), ("model", SVC(C=3.0))])

    assert key(pipeline, model__C=3.0) == key(set_there)
    assert key(pipeline, model=SVC(C=3.0)) == key(set_there)
    assert key(pipeline, model__C=3.0, reduce="passthrough") != key(set_there)


def test_what_candidates_share_has_one_key_however_often_it_is_walked():
    """Keys do not depend on which candidates came before."""
    scale = np.arange(3.0)

    def scaled(X):
        return X * scale

    def shifted(X):
        return X + scale

    values = [scaled, shifted, None]
    estimator = FunctionTransformer(scaled, kw_args={"f": shifted})
    keys = CandidateKeys(estimator)

    one_after_the_other = [keys.of({"func": value}).key for value in values]

    assert one_after_the_other == [key(estimator, func=value) for value in values]
    assert len(set(one_after_the_other)) == 3


def test_the_packages_of_a_candidate_are_its_own():
    """What an earlier candidate reached is not said of the next."""
    keys = CandidateKeys(Pipeline([("model", SVC())]))

    def rooted(X):
        return np.sqrt(X)

    first = keys.of({"model": FunctionTransformer(rooted)}).packages
    second = keys.of({"model": SVC()}).packages

    assert "numpy" in first
    assert "numpy" not in second
    assert keys.of({"model": FunctionTransformer(rooted)}).packages == first


def test_a_value_without_a_key_is_named_by_the_way_to_it():
    """The error names the parameter that the candidate sets."""
    generator = (i for i in range(3))

    with pytest.raises(FingerprintError, match="estimator__func"):
        key(FunctionTransformer(), func=generator)


def test_parameters_that_cannot_be_set_have_a_key():
    """The fold says what is wrong with them, not the key."""
    assert key(SVC(), nonsense=1) != key(SVC(), nonsense=2)


def test_a_larger_grid_finds_the_folds_of_the_smaller(tmp_path):
    """A parameter added at its default, or moved into the grid, runs nothing again."""
    X, y = load_iris(return_X_y=True)

    def fit(estimator, grid):
        search = ResumableGridSearchCV(
            estimator, grid, cv=3, refit=False, checkpoint=tmp_path / "c.sqlite"
        )
        return search.fit(X, y).resumption

    assert fit(SVC(), {"C": [1, 10]}).n_run == 6

    added = fit(SVC(), {"C": [1, 10], "kernel": ["rbf", "linear"]})
    moved = fit(SVC(kernel="linear"), {"C": [1, 10]})

    assert (added.n_resumed, added.n_run) == (6, 6)
    assert (moved.n_resumed, moved.n_run) == (6, 0)


def test_set_params_of_the_users_decides():
    """An estimator whose set_params sets more than it is told counts so."""

    class Linked(BaseEstimator):
        def __init__(self, rate=1, decay=1):
            self.rate = rate
            self.decay = decay

        def set_params(self, **parameters):
            super().set_params(**parameters)
            self.decay = self.rate / 10
            return self

    assert key(Linked(), rate=2) == key(Linked(rate=2, decay=0.2))
    assert key(Linked(), rate=2) != key(Linked(), rate=3)


def test_the_estimator_counts_by_class_and_parameters():
    """What an earlier fit has left in the search's estimator does not count."""
    X, y = load_iris(return_X_y=True)

    fitted = LogisticRegression(max_iter=500).fit(X, y)

    assert key(fitted, C=2.0) == key(LogisticRegression(max_iter=500), C=2.0)
