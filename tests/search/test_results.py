"""Results can be read at any time, by anybody who may read the file."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import HalvingGridSearchCV
from sklearn.svm import SVC

from resumable_search import CheckpointError, ResumableGridSearchCV, read_results
from resumable_search._fit.mixin import ResumableSearchMixin
from tests import fakes
from tests.conftest import assert_same_results

GRID = {"C": [0.1, 1.0], "kernel": ["linear", "rbf"]}


def dict_scoring(estimator, X, y):
    return {"a": estimator.score(X, y), "b": 1.0}


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"scoring": ["accuracy", "f1_macro"], "refit": "accuracy"},
        {"scoring": dict_scoring, "refit": "a"},
        {"return_train_score": True},
        {"scoring": {"only": "accuracy"}, "refit": "only"},
    ],
    ids=["default", "multimetric", "dict_scoring", "train_score", "one_of_a_dict"],
)
def test_a_finished_search_reads_as_its_cv_results(iris, parameters):
    """In every key, the times too; with the number of finished folds."""
    search = ResumableGridSearchCV(SVC(), GRID, cv=3, **parameters).fit(*iris)
    results = read_results()
    assert list(results.pop("n_completed")) == [3] * 4
    assert list(results) == list(search.cv_results_)
    assert_same_results(results, search.cv_results_)
    for key in ("mean_fit_time", "std_score_time"):
        np.testing.assert_array_equal(results[key], search.cv_results_[key])


def test_what_is_not_finished_is_nan(data, log):
    """Failed folds and those that have not run, each in its place."""

    class FailsInOne(fakes.Logged):
        def act(self):
            if self.value == 2.0 and Path(self.log).read_text().count("2.0") == 1:
                raise RuntimeError("the first fold of this candidate")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ResumableGridSearchCV(
            FailsInOne(log), {"value": [1.0, 2.0]}, cv=2, refit=False
        ).fit(*data)
    results = read_results()
    assert list(results["n_completed"]) == [2, 1]
    assert np.isnan(results["split0_test_score"]).tolist() == [False, True]
    assert np.isnan(results["split1_test_score"]).tolist() == [False, False]
    assert np.isnan(results["mean_test_score"]).tolist() == [False, True]
    assert list(results["rank_test_score"]) == [1, 2]


def test_results_as_a_data_frame(iris):
    """A row for each candidate."""
    search = ResumableGridSearchCV(SVC(), GRID, cv=3).fit(*iris)
    frame = read_results(as_frame=True)
    assert len(frame) == 4
    assert frame["param_kernel"].tolist() == ["linear", "rbf"] * 2
    np.testing.assert_array_equal(
        frame["mean_test_score"], search.cv_results_["mean_test_score"]
    )


def test_a_search_is_chosen_by_its_number(iris):
    """The last one that was started is the default."""
    ResumableGridSearchCV(SVC(), {"C": [1.0]}, cv=3).fit(*iris)
    ResumableGridSearchCV(SVC(), {"gamma": [0.1, 0.2]}, cv=3).fit(*iris)
    assert len(read_results()["params"]) == 2
    assert read_results(search=1)["params"] == [{"C": 1.0}]
    with pytest.raises(CheckpointError, match=r"number 7. It has: 2, 1"):
        read_results(search=7)


def test_values_that_are_not_plain_are_read_as_text(data, log):
    """No code of the user's is needed to read results."""
    grid = {"value": [np.float64(1.5)], "seconds": [0], "log": [log]}
    ResumableGridSearchCV(fakes.Logged(log), grid, cv=2, refit=False).fit(*data)
    assert read_results()["params"] == [{"log": log, "seconds": 0, "value": 1.5}]
    grid = {"value": [fakes.fits]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ResumableGridSearchCV(fakes.Logged(log), grid, cv=2, refit=False).fit(*data)
    assert read_results()["params"] == [{"value": "function fits"}]


def test_no_checkpoint_is_an_error_and_makes_none(tmp_path):
    """It says where it looked."""
    with pytest.raises(CheckpointError, match=r"checkpoint\.sqlite does not exist"):
        read_results()
    assert not list(tmp_path.iterdir())


class ResumableHalvingGridSearchCV(ResumableSearchMixin, HalvingGridSearchCV):
    """Successive halving, as a user may make it resumable."""

    _parameter_constraints = {  # noqa: RUF012 - scikit-learn's
        **HalvingGridSearchCV._parameter_constraints,
        **ResumableSearchMixin._parameter_constraints,
    }

    def __init__(self, estimator, param_grid, *, cv=5, random_state=None):
        super().__init__(estimator, param_grid, cv=cv, random_state=random_state)


def test_each_round_of_successive_halving_has_its_own_splits(iris):
    """All rounds are in the results, one after the other."""
    grid = {"C": [0.1, 1.0, 10.0, 100.0]}
    search = ResumableHalvingGridSearchCV(SVC(), grid, cv=3, random_state=0)
    search.fit(*iris)
    results = read_results()
    n_candidates = len(search.cv_results_["params"])
    assert n_candidates > 4
    assert list(results["n_completed"]) == [3] * n_candidates
    for key in ("split0_test_score", "split2_test_score"):
        np.testing.assert_array_equal(results[key], search.cv_results_[key])
