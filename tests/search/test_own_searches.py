"""Searches with a `_run_search` of their own; splitters that compute in parallel."""

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GridSearchCV, KFold, cross_validate
from sklearn.tree import DecisionTreeClassifier

from resumable_search import ResumableGridSearchCV
from tests.conftest import assert_same_results

TREE = DecisionTreeClassifier(random_state=0)


def coarse_to_fine(base):
    """Make a search of two rounds, as scikit-learn's docs have it."""

    class CoarseToFine(base):
        def _run_search(self, evaluate_candidates):
            depths = [1, 4]
            results = evaluate_candidates([{"max_depth": d} for d in depths])
            best = depths[int(np.argmax(results["mean_test_score"]))]
            evaluate_candidates([{"max_depth": best + 1}])

    return CoarseToFine


def crossing(base):
    """Make a search that cross-validates, too, before it begins."""

    class Crossing(base):
        def _run_search(self, evaluate_candidates):
            X, y = np.arange(12.0).reshape(6, 2), [0, 1] * 3
            scores = cross_validate(TREE, X, y, cv=2, n_jobs=2)["test_score"]
            evaluate_candidates([{"max_depth": 1 + int(np.mean(scores) >= 0)}])

    return Crossing


class ForestBlocks:
    """Splits by what a forest finds alike, and counts the splits by making them."""

    def split(self, X, y=None, groups=None):
        forest = RandomForestClassifier(5, random_state=0, n_jobs=2)
        nearest = forest.fit(X, np.arange(len(X)) % 3).apply(X)[:, 0] % 3
        for block in np.unique(nearest):
            yield np.flatnonzero(nearest != block), np.flatnonzero(nearest == block)

    def get_n_splits(self, X=None, y=None, groups=None):
        return len(list(self.split(X, y, groups)))


@pytest.mark.parametrize("make", [coarse_to_fine, crossing])
def test_a_subclass_chooses_its_candidates(iris, make):
    """With the signature from before scikit-learn 1.9, too; and it resumes."""
    plain = make(GridSearchCV)(TREE, {}, cv=3).fit(*iris)
    search = make(ResumableGridSearchCV)(TREE, {}, cv=3).fit(*iris)
    assert_same_results(search.cv_results_, plain.cv_results_)
    assert search.best_params_ == plain.best_params_
    again = make(ResumableGridSearchCV)(TREE, {}, cv=3).fit(*iris)
    assert again.resumption.n_run == 0


@pytest.mark.parametrize("cv", [3, list(KFold(3, shuffle=True).split(range(150)))])
def test_what_is_there_holds_all_rounds(iris, cv):
    """Whether each round splits anew or is given the splits."""
    search = coarse_to_fine(ResumableGridSearchCV)(TREE, {}, cv=cv).fit(*iris)
    assert search.partial_results["params"] == search.cv_results_["params"]
    assert len(search.cv_results_["params"]) == 3


def test_a_splitter_may_compute_in_parallel(iris):
    """It sees the user's backend, when it counts its splits and when it makes them."""
    plain = GridSearchCV(TREE, {"max_depth": [1, 2]}, cv=ForestBlocks(), n_jobs=2)
    plain.fit(*iris)
    search = ResumableGridSearchCV(
        TREE, {"max_depth": [1, 2]}, cv=ForestBlocks(), n_jobs=2
    ).fit(*iris)
    assert_same_results(search.cv_results_, plain.cv_results_)
    assert search.resumption.n_run == search.n_splits_ * 2


def test_a_search_is_as_before_after_a_fit(iris):
    """Nothing of the fit is left in it."""
    search = ResumableGridSearchCV(TREE, {"max_depth": [1, 2]}, cv=3).fit(*iris)
    assert "_run_search" not in vars(search)
