"""Unseeded estimators draw the same in a fold, whatever ran before and where."""

import random
import shutil

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from resumable_search import ResumableGridSearchCV
from resumable_search._fit.random_states import base_seed
from tests import fakes
from tests.search.test_fresh_folds import Calls

X = np.zeros((12, 1))
GRID = {"value": [0.0]}


def draw(X):
    return random.random() + np.random.random()


def scores(function=draw, n=3, checkpoint=None, **parameters):
    search = ResumableGridSearchCV(
        Calls(function),
        {"value": list(range(n))},
        cv=2,
        refit=False,
        checkpoint=checkpoint,
        **parameters,
    )
    results = search.fit(X).cv_results_
    return [*results["split0_test_score"], *results["split1_test_score"]]


def test_each_fold_draws_for_itself():
    """Candidates and splits draw different numbers."""
    drawn = scores()
    assert len(set(drawn)) == len(drawn)


def test_numbers_of_workers_do_not_matter():
    """After the same np.random.seed, one worker and two come to the same scores."""
    np.random.seed(42)
    one = scores(checkpoint="one.sqlite")
    np.random.seed(42)
    assert scores(checkpoint="two.sqlite", n_jobs=2) == one


def test_the_global_seed_decides():
    """Another np.random.seed gives other scores in a new checkpoint."""
    np.random.seed(42)
    first = scores(checkpoint="one.sqlite")
    np.random.seed(43)
    assert set(scores(checkpoint="two.sqlite")).isdisjoint(first)


def test_the_global_generators_are_not_disturbed():
    """A fit leaves the generators of its own process where they were."""
    np.random.seed(0)
    random.seed(0)
    expected = random.random(), np.random.random()
    np.random.seed(0)
    random.seed(0)
    scores()
    assert (random.random(), np.random.random()) == expected


def test_a_search_goes_on_with_its_seed():
    """What remains of a search draws as it would have in one go."""
    np.random.seed(1)
    scores(n=1, checkpoint="begun.sqlite")
    shutil.copy("begun.sqlite", "copy.sqlite")
    np.random.seed(2)
    on = scores(n=4, checkpoint="begun.sqlite")
    np.random.seed(3)
    assert scores(n=4, checkpoint="copy.sqlite") == on
    np.random.seed(1)
    assert scores(n=4, checkpoint="at_once.sqlite") == on


class DrawsItsScore(fakes.KilledOnce):
    """Its score is drawn; the first fit of all dies."""

    def score(self, X, y=None):
        return np.random.random()


def test_a_fold_that_runs_again_draws_the_same(data, log):
    """A fold whose worker was killed has the score that it would have had."""
    found = []
    for checkpoint in ("killed.sqlite", "not_killed.sqlite"):
        np.random.seed(0)
        search = ResumableGridSearchCV(
            DrawsItsScore(log), GRID, cv=2, refit=False, checkpoint=checkpoint
        )
        found.append(search.fit(*data).cv_results_["mean_test_score"][0])
    assert len(fakes.fits(log)) == 5
    assert found[0] == found[1]


def test_an_unseeded_forest_is_reproducible(iris):
    """Two fits with new checkpoints agree after the same np.random.seed."""
    found = []
    for checkpoint in "ab":
        np.random.seed(7)
        search = ResumableGridSearchCV(
            RandomForestClassifier(3), {"max_depth": [1, 2]}, checkpoint=checkpoint
        )
        found.append(search.fit(*iris).cv_results_["mean_test_score"].tolist())
    assert found[0] == found[1]


def test_a_process_that_was_faster_decides():
    """The seed is the recorded one, also where it was recorded at the same moment."""
    np.random.seed(5)
    kept = {}
    other = base_seed(lambda state: kept.setdefault("state", state))
    np.random.seed(6)
    answers = [None, kept["state"]]
    assert base_seed(lambda state: answers.pop(0)) == other


def test_any_bit_generator_gives_a_seed():
    """Numpy's global state may be of another bit generator."""
    states = []

    def recall(state):
        states.append(state)
        return states[0]

    before = np.random.get_bit_generator()
    try:
        for _ in range(2):
            np.random.set_bit_generator(np.random.PCG64(1))
            base_seed(recall)
    finally:
        np.random.set_bit_generator(before)
    assert states[0] == states[-1]


@pytest.mark.parametrize("framework", ["keras", "torch"])
def test_a_framework_that_a_fold_imports_is_seeded(framework):
    """The first fold of a worker draws what it draws after others."""
    pytest.importorskip(framework)

    def keras(X):
        import keras

        return float(np.sum(keras.random.normal((3,))))

    def torch(X):
        import torch

        return float(torch.randn(3).sum())

    function = {"keras": keras, "torch": torch}[framework]
    np.random.seed(0)
    first = scores(function, n=2, checkpoint="first.sqlite")
    np.random.seed(0)
    assert scores(function, n=2, checkpoint="again.sqlite", n_jobs=2) == first
    assert len(set(first)) == len(first)
