"""A checkpoint of an older version can be read, and its scores are not used."""

import shutil
import warnings
from pathlib import Path

import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.svm import SVC

from resumable_search import (
    ResumableGridSearchCV,
    UntrustedScoresWarning,
    read_results,
)

DATA = Path(__file__).parent.parent / "data"


@pytest.fixture
def checkpoint(tmp_path):
    """Give a file of format 2 with two searches: of an SVC, and of a NuSVC."""
    path = tmp_path / "checkpoint.sqlite"
    shutil.copy(DATA / "format-2.sqlite", path)
    return path


def same_search(checkpoint, C=(1, 10)):
    """Give the search that wrote the first one in the file."""
    return ResumableGridSearchCV(SVC(), {"C": list(C)}, cv=3, checkpoint=checkpoint)


def test_the_scores_of_an_older_version_run_again_and_are_named(iris, checkpoint):
    """The warning says how many, of which search, and how to delete them."""
    match = r"scores of 6 folds .* \(of the search 1\).*prune .* --outdated"
    with pytest.warns(UntrustedScoresWarning, match=match):
        search = same_search(checkpoint).fit(*iris)
    assert (search.resumption.n_resumed, search.resumption.n_run) == (0, 6)


def test_the_warning_comes_once(iris, checkpoint):
    """Neither the same search nor a grown one says it again."""
    with pytest.warns(UntrustedScoresWarning):
        same_search(checkpoint).fit(*iris)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UntrustedScoresWarning)
        assert same_search(checkpoint).fit(*iris).resumption.n_resumed == 6
        same_search(checkpoint, C=[1, 10, 100]).fit(*iris)


def test_another_estimator_has_no_need_to_know(iris, checkpoint):
    """Only scores that this search might have used are worth a warning."""
    forest = RandomForestClassifier(n_estimators=2, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UntrustedScoresWarning)
        ResumableGridSearchCV(
            forest, {"max_depth": [1]}, cv=3, checkpoint=checkpoint
        ).fit(*iris)


def test_the_old_scores_can_still_be_read(iris, checkpoint):
    """By their number, once a fit has brought the file up to date."""
    with pytest.warns(UntrustedScoresWarning):
        search = same_search(checkpoint).fit(*iris)
    old = read_results(checkpoint, search=1)
    assert old["n_completed"].tolist() == [3, 3]
    assert (
        old["mean_test_score"].tolist()
        == search.cv_results_["mean_test_score"].tolist()
    )
