"""What a fold changes is not there in the next: each begins with objects of its own."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator

from resumable_search import ResumableGridSearchCV
from resumable_search._engine.contexts import Context
from resumable_search._engine.shipping import Workspace


class Calls(BaseEstimator):
    """Its score is what `function` returns.

    Parameters
    ----------
    function : callable
        Called with X in each fit.
    value : int
        Of no effect.
    """

    def __init__(self, function=None, value=0):
        self.function = function
        self.value = value

    def fit(self, X, y=None, **fit_params):
        self.score_ = self.function(X, **fit_params)
        return self

    def score(self, X, y=None):
        return self.score_


def scores(function, X=None, **fit_params):
    """Return the scores of six folds, which one worker has run."""
    X = np.zeros((12, 1)) if X is None else X
    search = ResumableGridSearchCV(
        Calls(function), {"value": [0, 1, 2]}, cv=2, refit=False
    )
    results = search.fit(X, **fit_params).cv_results_
    return [*results["split0_test_score"], *results["split1_test_score"]]


def counter(seen):
    def count(X, **fit_params):
        seen.append(len(X))
        return float(len(seen))

    return count


def test_a_captured_list_is_fresh_in_each_fold():
    """A list that a function appends to is empty at the beginning of each fold."""
    assert scores(counter([])) == [1.0] * 6


def test_a_captured_array_is_fresh_in_each_fold():
    """A large array that a function changes in place is as it was in the next fold."""
    weights = np.zeros(100_000)

    def train(X):
        weights[:] += 1.0
        return float(weights.sum())

    assert scores(train) == [100_000.0] * 6
    assert not weights.any()


def test_a_global_of_a_function_is_fresh_in_each_fold(script):
    """A script's global that its function sets is as it was in the next fold."""
    source = """
        import numpy as np
        from resumable_search import ResumableGridSearchCV
        from tests.search.test_fresh_folds import Calls

        n_calls = 0

        def function(X):
            global n_calls
            n_calls += 1
            return float(n_calls)

        search = ResumableGridSearchCV(
            Calls(function), {"value": [0, 1, 2]}, cv=2, refit=False
        )
        print(search.fit(np.zeros((12, 1))).cv_results_["mean_test_score"])
    """
    out, err = script(source).communicate()
    assert out == "[1. 1. 1.]\n", err


def test_a_class_attribute_is_fresh_in_each_fold():
    """A class of the script has no attribute that an earlier fold has set or added."""

    class Model:
        n_fits = 0

        def fit(self):
            cls = type(self)
            cls.n_fits += 1
            cls.added = getattr(cls, "added", 0) + 1
            return float(cls.n_fits + cls.added)

    assert scores(lambda X: Model().fit()) == [2.0] * 6


def test_classes_are_the_same_within_a_fold():
    """The class of a candidate's value is the one that the estimator knows."""

    class Model:
        pass

    class Checks(Calls):
        def fit(self, X, y=None):
            self.score_ = float(isinstance(self.value, Model))
            return self

    search = ResumableGridSearchCV(
        Checks(), {"value": [Model(), Model()]}, cv=2, refit=False
    )
    results = search.fit(np.zeros((12, 1))).cv_results_
    assert results["mean_test_score"].tolist() == [1.0, 1.0]


def test_a_fit_parameter_is_fresh_in_each_fold():
    """A fit parameter that a fit changes is as it was in the next fold."""

    def function(X, history):
        history.append(1)
        return float(len(history))

    assert scores(function, history=[]) == [1.0] * 6


def test_a_scorer_is_fresh_in_each_fold():
    """A scorer that counts its calls begins anew in each fold."""
    seen = []

    def score(estimator, X, y=None):
        seen.append(1)
        return float(len(seen))

    search = ResumableGridSearchCV(
        Calls(len), {"value": [0, 1, 2]}, cv=2, refit=False, scoring=score
    )
    results = search.fit(np.zeros((12, 1))).cv_results_
    assert results["mean_test_score"].tolist() == [1.0] * 3


@pytest.mark.parametrize("kind", [list, lambda rows: np.array(rows, dtype=object)])
def test_elements_of_the_data_are_fresh_in_each_fold(kind):
    """Samples that are objects are as they were, although a fold has changed them."""

    def function(X):
        for sample in X:
            sample["seen"] += 1
        return float(max(sample["seen"] for sample in X))

    samples = kind([{"seen": 0} for _ in range(12)])
    assert scores(function, samples) == [1.0] * 6


@pytest.mark.parametrize(
    ("X", "kept"),
    [
        (np.zeros((4, 2)), True),
        (["a", "b"], True),
        ([1, 2.0, None], True),
        (np.array(["a", np.float64(1.0)], dtype=object), True),
        ([["a"], ["b"]], False),
        (np.array([["a"], {}], dtype=object), False),
        (np.ma.masked_array([1.0, 2.0]), False),
    ],
)
def test_data_that_no_fold_can_change_is_loaded_once(X, kept):
    """Numbers and strings are loaded once, what has changeable elements each time."""
    workspace = Workspace()
    content = dict.fromkeys(("code", "settings", "warning_filters", "surroundings"))
    content |= {"data": workspace.put((X, None)), "objects": ""}
    context = Context(workspace.put(content))
    assert (context.data()[0] is context.data()[0]) == kept
    workspace.close()


def test_identical_runs_have_identical_scores():
    """Three runs on two workers agree, although the model function keeps a state."""
    body = {"weights": np.zeros(1000), "n_steps": 0}

    def function(X):
        body["weights"] += len(X)
        body["n_steps"] += 1
        return float(body["weights"][0] * body["n_steps"])

    runs = [
        ResumableGridSearchCV(
            Calls(function),
            {"value": list(range(6))},
            cv=3,
            refit=False,
            n_jobs=2,
            checkpoint=f"{run}.sqlite",
        )
        .fit(np.zeros((12, 1)))
        .cv_results_["mean_test_score"]
        .tolist()
        for run in range(3)
    ]
    assert runs == [[8.0] * 6] * 3
