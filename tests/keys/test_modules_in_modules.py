"""A module that is an attribute of another one, and that a script sets anew."""

import importlib
import sys
import types

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV

from resumable_search import ResumableGridSearchCV

X, Y = np.zeros((8, 1)), [0, 1] * 4

FILES = {
    "backends/__init__.py": "from . import one as chosen\n",
    "backends/one.py": "UNITS = 1\ndef units():\n    return UNITS\n",
    "backends/two.py": "UNITS = 2\ndef units():\n    return UNITS\n",
    "asks_backends.py": """
from sklearn.base import BaseEstimator
import numpy as np
import backends
from backends import one as backend

class Asks(BaseEstimator):
    def __init__(self, how="attribute"):
        self.how = how
    def fit(self, X, y=None):
        return self
    def score(self, X, y=None):
        return float(getattr(self, self.how)())
    def attribute(self):
        return backend.UNITS
    def function(self):
        return backend.units()
    def handed_on(self):
        return getattr(backend, "UNITS")
    def library(self):
        return np.pi
    def of_package(self):
        return backends.chosen.UNITS
    def submodule(self):
        return backends.one.UNITS
""",
}


@pytest.fixture
def asks(tmp_path, monkeypatch):
    """Return the module with the estimator."""
    before = set(sys.modules)
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield importlib.import_module("asks_backends")
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def ours(estimator):
    """Return the score and how many folds ran."""
    search = ResumableGridSearchCV(
        estimator, {}, cv=2, refit=False, checkpoint="c.sqlite"
    ).fit(X, Y)
    return search.cv_results_["mean_test_score"][0], search.resumption.n_run


def theirs(estimator):
    """Return scikit-learn's score."""
    search = GridSearchCV(estimator, {}, cv=2, refit=False).fit(X, Y)
    return search.cv_results_["mean_test_score"][0]


def made():
    """Return a module that is in no file."""
    module = types.ModuleType("made_backend")
    module.UNITS, module.pi, module.units = 5, 4.0, lambda: 6
    return module


CHANGES = [
    ("attribute", "backend", False),
    pytest.param("function", "backend", False, marks=pytest.mark.slow),
    pytest.param("handed_on", "backend", False, marks=pytest.mark.slow),
    ("of_package", "backends.chosen", False),
    pytest.param("submodule", "backends.one", False, marks=pytest.mark.slow),
    pytest.param("attribute", "backend", True, marks=pytest.mark.slow),
    pytest.param("function", "backend", True, marks=pytest.mark.slow),
    ("library", "np", True),
    pytest.param("of_package", "backends.chosen", True, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("how", "place", "is_made"), CHANGES)
def test_another_module_in_its_place_is_seen_and_runs(how, place, is_made, asks):
    """The scores are scikit-learn's, with a module from a file or of the script."""
    estimator = asks.Asks(how)
    default = theirs(estimator)
    assert ours(estimator) == (default, 2)

    other = made() if is_made else importlib.import_module("backends.two")
    owner, _, name = f"asks_backends.{place}".rpartition(".")
    setattr(sys.modules[owner.removeprefix("asks_backends.")], name, other)

    changed = theirs(estimator)
    assert changed != default
    assert ours(estimator) == (changed, 2)
    assert ours(estimator) == (changed, 0)
