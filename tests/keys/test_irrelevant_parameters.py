"""Parameters that no score depends on, and how to add some."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline

from resumable_search import ResumableGridSearchCV, register_irrelevant
from resumable_search._keys import relevance
from resumable_search._keys.class_tables import ClassTable
from resumable_search._keys.fingerprint import fingerprint


class Forest(RandomForestClassifier):
    """Inherits all that scikit-learn says about its parameters."""


class Louder(RandomForestClassifier):
    def fit(self, X, y):
        if self.verbose > 2:
            self.max_depth = 1
        return super().fit(X, y)


class ByName(RandomForestClassifier):
    def fit(self, X, y):
        self.max_depth = getattr(self, "n_jobs")  # noqa: B009 - what is tested
        return super().fit(X, y)


class OwnParameters(RandomForestClassifier):
    def __init__(self, n_jobs=1):
        super().__init__(n_estimators=n_jobs)
        self.n_jobs = n_jobs


class Embedder(BaseEstimator):
    def __init__(self, size=64, cache_folder=None):
        self.size = size
        self.cache_folder = cache_folder


class SmallEmbedder(Embedder):
    pass


@pytest.mark.parametrize("cloned", [False, True])
@pytest.mark.parametrize(
    ("one", "other"),
    [
        (RandomForestClassifier(n_jobs=2), RandomForestClassifier(n_jobs=4, verbose=1)),
        (Forest(n_jobs=2), Forest(verbose=1)),
        (Louder(n_jobs=2), Louder(n_jobs=1)),
        (
            Pipeline([("a", PCA())], memory="/tmp/a"),
            Pipeline([("a", PCA())], verbose=True),
        ),
        (
            make_pipeline(FeatureUnion([("a", Forest(n_jobs=2))], n_jobs=3)),
            make_pipeline(FeatureUnion([("a", Forest())], verbose=True)),
        ),
        (
            GridSearchCV(Forest(), {}, n_jobs=2, pre_dispatch=1, verbose=3),
            GridSearchCV(Forest(), {}),
        ),
        (
            ResumableGridSearchCV(Forest(), {}, checkpoint="a.sqlite", n_jobs=2),
            ResumableGridSearchCV(Forest(), {}),
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_parameters_that_no_score_depends_on_do_not_count(one, other, cloned):
    """Threads, messages and caches change no score, in nested estimators neither."""
    assert fingerprint(one, cloned=cloned) == fingerprint(other, cloned=cloned)


@pytest.mark.parametrize("cloned", [False, True])
@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Forest(max_depth=1), Forest(max_depth=2)),
        (Louder(verbose=1), Louder(verbose=3)),
        (ByName(n_jobs=1), ByName(n_jobs=3)),
        (OwnParameters(1), OwnParameters(2)),
        (Embedder(cache_folder="a"), Embedder(cache_folder="b")),
        ({"n_jobs": 1}, {"n_jobs": 2}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_parameters_that_the_users_code_may_use_count(one, other, cloned):
    """A class of the user's that takes or reads the parameter may score by it."""
    assert fingerprint(one, cloned=cloned) != fingerprint(other, cloned=cloned)


def test_fitted_models_that_differ_in_threads_only_are_the_same():
    """Where a fitted model counts whole, its number of threads does not."""
    X, y = np.arange(20.0).reshape(10, 2), [0, 1] * 5

    def key(n_jobs, depth=2):
        forest = RandomForestClassifier(
            3, n_jobs=n_jobs, max_depth=depth, random_state=0
        )
        return fingerprint(forest.fit(X, y))

    assert key(1) == key(2) != key(1, depth=1)


@pytest.fixture
def forget_registrations(monkeypatch):
    monkeypatch.setattr(relevance, "_registered", ClassTable())
    yield
    relevance._known.clear()


@pytest.mark.usefixtures("forget_registrations")
def test_users_can_name_parameters_that_do_not_count():
    """`register_irrelevant` holds for the class and its subclasses, also in use."""
    keys = [fingerprint(Embedder(cache_folder=folder)) for folder in "ab"]
    assert keys[0] != keys[1]
    register_irrelevant(Embedder, "cache_folder")
    for cls in (Embedder, SmallEmbedder):
        for cloned in (False, True):
            one, other, smaller = (
                fingerprint(cls(size, folder), cloned=cloned)
                for size, folder in ((64, "a"), (64, "b"), (32, "a"))
            )
            assert one == other != smaller


@pytest.mark.parametrize("arguments", [("Embedder", "size"), (Embedder, 3)])
def test_register_irrelevant_refuses_what_is_no_class_or_name(arguments):
    """The message says which argument is wrong, and what it was."""
    with pytest.raises(TypeError, match=r"register_irrelevant .*Got .* instead"):
        register_irrelevant(*arguments)


def test_boosting_libraries_count_without_their_threads():
    """Threads and messages of XGBoost, LightGBM and CatBoost do not count."""
    tables = {
        "xgboost": ({"n_jobs": 2, "verbosity": 0}, {"max_depth": 3}),
        "lightgbm": ({"n_jobs": 2, "verbose": -1, "num_threads": 2}, {"max_bin": 3}),
        "catboost": ({"thread_count": 2, "verbose": False}, {"depth": 3}),
    }
    names = {"xgboost": "XGB", "lightgbm": "LGBM", "catboost": "CatBoost"}
    for package, (irrelevant, relevant) in tables.items():
        module = pytest.importorskip(package)
        cls = getattr(module, f"{names[package]}Classifier")
        for cloned in (False, True):
            plain = fingerprint(cls(), cloned=cloned)
            assert fingerprint(cls(**irrelevant), cloned=cloned) == plain, cls
            assert fingerprint(cls(**relevant), cloned=cloned) != plain, cls
