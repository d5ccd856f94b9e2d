"""How long a fold and a search may take, and what is left when that is over."""

import numpy as np
import pytest
from sklearn.exceptions import FitFailedWarning
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV

from resumable_search import (
    FoldTimeoutError,
    ResumableGridSearchCV,
    TimeBudgetError,
    TimeBudgetWarning,
    read_results,
)
from resumable_search._checkpoint.reader import CheckpointReader
from resumable_search._results import view_search
from tests import fakes
from tests.conftest import assert_same_results


class SlowOnes(fakes.Logged):
    """Takes a minute where its value is negative."""

    def act(self):
        if self.value < 0:
            self.seconds = 60.0


def search(estimator, values, **parameters):
    return ResumableGridSearchCV(
        estimator,
        {"value": values},
        **{"cv": 2, "refit": False, "n_jobs": 2, **parameters},
    )


def test_a_fold_that_takes_too_long_fails_alone_with_the_reason(data, log):
    """It is not tried again by this fit, and is by the next one."""
    with (
        pytest.warns(FitFailedWarning, match="stopped after 5 seconds"),
        pytest.warns(UserWarning, match="non-finite"),
    ):
        found = search(SlowOnes(log), [1.0, -1.0, 2.0], fold_timeout=5).fit(*data)
    assert np.isnan(found.cv_results_["mean_test_score"]).tolist() == [
        False,
        True,
        False,
    ]
    assert fakes.fits(log).count(-1.0) == 2
    reader = CheckpointReader(found.resumption.checkpoint)
    failed = view_search(reader, reader.searches()[0]).failed()
    reader.close()
    assert [candidate.values() for candidate, _, _ in failed] == [{"value": -1.0}] * 2
    assert all("fold_timeout=5" in record.error for _, _, record in failed)


def test_folds_queued_behind_one_that_is_stopped_are_run(data, log):
    """The time of a fold begins when it does, not when it is handed out."""
    values = [float(value) for value in range(1, 60)]
    found = search(fakes.Logged(log), values).fit(*data)  # folds are queued ahead now
    assert found.resumption.n_failed == 0
    with pytest.raises(FoldTimeoutError):
        search(
            SlowOnes(log), [*values, -1.0], fold_timeout=1.0, error_score="raise"
        ).fit(*data)


def test_after_the_time_budget_complete_candidates_are_the_results(data, log):
    """A warning says what was left out, and the next fit goes on."""
    values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    estimator = fakes.Logged(log, seconds=1.0)
    search(estimator, [1.0]).fit(*data)  # at least this one is complete
    with pytest.warns(TimeBudgetWarning, match=r"of 6 candidates do not have all"):
        found = search(estimator, values, time_budget=2.5, refit=True).fit(*data)
    kept = [parameters["value"] for parameters in found.cv_results_["params"]]
    assert 1 <= len(kept) < 6
    theirs = GridSearchCV(fakes.Logged(log), {"value": kept}, cv=2).fit(*data)
    assert_same_results(found.cv_results_, theirs.cv_results_)
    assert found.best_params_ == theirs.best_params_
    assert found.resumption.n_left_out == 10 - found.resumption.n_run
    n_begun = len(fakes.fits(log))
    again = search(estimator, values).fit(*data)
    assert again.resumption.n_resumed == 2 + found.resumption.n_run
    assert len(fakes.fits(log)) - n_begun == found.resumption.n_left_out


def test_folds_from_the_checkpoint_cost_no_time(data, log):
    """However small the budget is: only what is new is left out."""
    estimator = fakes.Logged(log)
    search(estimator, [1.0, 3.0]).fit(*data)
    values = [1.0, 2.0, 3.0, 4.0]
    with pytest.warns(TimeBudgetWarning, match="2 of 4 candidates"):
        found = search(estimator, values, time_budget=1e-9).fit(*data)
    assert found.cv_results_["params"] == [{"value": 1.0}, {"value": 3.0}]
    assert list(found.cv_results_["rank_test_score"]) == [2, 1]


def test_a_time_budget_in_which_nothing_is_complete_is_an_error(data, log):
    """It says so, and what there is is kept."""
    with pytest.raises(TimeBudgetError, match="any of the 2 candidates"):
        search(fakes.Logged(log), [1.0, 2.0], time_budget=1e-9).fit(*data)
    assert search(fakes.Logged(log), [1.0, 2.0]).fit(*data).resumption.n_run == 4


def dict_scoring(estimator, X, y):
    return {"a": estimator.score(X), "b": 1.0}


@pytest.mark.parametrize(
    "parameters",
    [
        {"scoring": dict_scoring, "refit": "a"},
        {"scoring": ["accuracy", "f1_macro"], "refit": False},
        {"return_train_score": True},
    ],
    ids=["dict_scoring", "multimetric", "train_score"],
)
def test_what_is_left_out_has_no_part_in_the_results(parameters, data, log):
    """With the first candidate left out, whatever gives the scores."""
    search(fakes.Logged(log), [2.0, 3.0], **parameters).fit(*data)
    values = [1.0, 2.0, 3.0, 4.0]
    found = search(fakes.Logged(log), values, time_budget=1e-9, **parameters)
    with pytest.warns(TimeBudgetWarning):
        found.fit(*data)
    theirs = GridSearchCV(
        fakes.Logged(log), {"value": [2.0, 3.0]}, cv=2, **parameters
    ).fit(*data)
    assert_same_results(found.cv_results_, theirs.cv_results_)


def test_results_can_be_read_after_the_time_budget(data, log):
    """All candidates are there, with what they have."""
    search(fakes.Logged(log), [1.0]).fit(*data)
    with pytest.warns(TimeBudgetWarning):
        search(fakes.Logged(log), [1.0, 2.0], time_budget=1e-9).fit(*data)
    assert list(read_results()["n_completed"]) == [2, 0]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("fold_timeout", 0),
        ("time_budget", -1.0),
        ("time_budget", "3"),
        ("grace_period", -1),
    ],
)
def test_limits_are_checked(name, value, data, log):
    """In the shape of scikit-learn's messages."""
    with pytest.raises(ValueError, match=f"The {name!r} parameter of Resumable"):
        search(fakes.Logged(log), [1.0], **{name: value}).fit(*data)
