"""Splits and rounds are told apart by their place and content, whatever they share."""

import numpy as np
import pytest
from sklearn.datasets import make_regression
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, KFold

from resumable_search import ResumableGridSearchCV, read_results
from tests.conftest import assert_same_results

GRID = {"alpha": [0.1, 10.0]}


class TwoRounds(GridSearchCV):
    """Tries its grid in one round, and others in the next."""

    def _run_search(self, evaluate_candidates, callback_ctx=None):
        evaluate_candidates([{"alpha": 0.1}, {"alpha": 1.0}])
        evaluate_candidates([{"alpha": 10.0}, {"alpha": 100.0}])


class ResumableTwoRounds(ResumableGridSearchCV, TwoRounds):
    """The same, resumable."""


@pytest.fixture
def samples():
    """Give X of shape (120, 5) and y of shape (120,)."""
    return make_regression(120, 5, noise=20, random_state=0)


def same_train():
    history = np.arange(60)
    return [(history, month) for month in np.split(np.arange(60, 120), 3)]


def same_test():
    rest = np.arange(60, 120)
    return [(period, rest) for period in np.split(np.arange(60), 3)]


def one_split_twice():
    train, test = np.arange(60), np.arange(60, 120)
    return [(train, test), (train, test)]


SPLITS = [same_train, same_test, one_split_twice]


@pytest.mark.parametrize("splits", SPLITS)
def test_splits_may_share_their_arrays(splits, samples):
    """Each split is trained and scored on its own indices, as in scikit-learn."""
    theirs = GridSearchCV(Ridge(), GRID, cv=splits()).fit(*samples)
    ours = ResumableGridSearchCV(Ridge(), GRID, cv=splits()).fit(*samples)
    assert_same_results(ours.cv_results_, theirs.cv_results_)


def test_only_a_split_that_is_new_runs(samples):
    """Of splits that share an array, those whose indices are the same are reused."""
    cv = same_train()
    ResumableGridSearchCV(Ridge(), GRID, cv=cv[:2]).fit(*samples)
    more = ResumableGridSearchCV(Ridge(), GRID, cv=cv).fit(*samples)
    assert (more.resumption.n_resumed, more.resumption.n_run) == (4, 2)
    theirs = GridSearchCV(Ridge(), GRID, cv=cv).fit(*samples)
    assert_same_results(more.cv_results_, theirs.cv_results_)


@pytest.mark.parametrize(
    "cv", [*(splits() for splits in SPLITS), 3, KFold(3, shuffle=True, random_state=0)]
)
def test_each_call_of_evaluate_candidates_is_a_round(cv, samples):
    """A second round may have the very splits of the first."""
    theirs = TwoRounds(Ridge(), GRID, cv=cv).fit(*samples)
    ours = ResumableTwoRounds(Ridge(), GRID, cv=cv).fit(*samples)
    assert_same_results(ours.cv_results_, theirs.cv_results_)
    kept = read_results(ours.resumption.checkpoint, search=ours.resumption.search)
    assert kept["params"] == ours.cv_results_["params"]
    for name in ("split0_test_score", "split1_test_score"):
        np.testing.assert_array_equal(kept[name], theirs.cv_results_[name])
