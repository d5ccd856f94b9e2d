"""Asserts in a test module, which pytest rewrites when it imports the module."""

import importlib.util

import numpy as np
import pytest
from sklearn.base import BaseEstimator

from resumable_search import ResumableGridSearchCV
from resumable_search._keys.fingerprint import fingerprint
from resumable_search._keys.rewritten import as_written


def helper(X):
    assert len(X) > 1, f"only {len(X)}"

    def inner(value):
        assert value is not None
        return value

    return inner(X)


class Model(BaseEstimator):
    def fit(self, X, y=None):
        assert X.ndim == 2, "other data"
        assert not X.sum()
        return self

    def score(self, X, y=None):
        return float(len(helper(X)))


@pytest.fixture
def plain():
    """Return this module as a worker imports it."""
    spec = importlib.util.spec_from_file_location("plainly_imported", __file__)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_code_that_is_in_the_file_counts(plain):
    """A function has the same key under pytest and without it."""
    names = helper.__code__.co_names
    assert names != plain.helper.__code__.co_names  # it was rewritten
    assert as_written(helper.__code__) == plain.helper.__code__
    assert fingerprint(helper) == fingerprint(plain.helper)
    assert fingerprint(Model.fit) == fingerprint(plain.Model.fit)


def test_code_that_is_not_that_of_its_file_counts_as_it_is(tmp_path):
    """A file that was edited since says nothing of the code that is running."""
    path = tmp_path / "edited.py"
    path.write_text("def helper(X):\n    return 5\n")
    code = helper.__code__.replace(co_filename=str(path), co_firstlineno=1)
    assert as_written(code) is code
    missing = helper.__code__.replace(co_filename=str(tmp_path / "missing.py"))
    assert as_written(missing) is missing


def test_an_estimator_of_a_test_module_runs_in_workers(tmp_path):
    """Its methods may have asserts."""
    search = ResumableGridSearchCV(
        Model(), {}, cv=2, refit=False, checkpoint=tmp_path / "c.sqlite"
    ).fit(np.zeros((8, 1)), [0, 1] * 4)
    assert search.cv_results_["mean_test_score"] == [4.0]
