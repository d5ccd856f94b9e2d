"""Values that a module computes, where a function imports it when it runs."""

import importlib
import sys

import numpy as np
import pytest
from sklearn.base import BaseEstimator

from resumable_search import ResumableGridSearchCV

from .programs import keys_of

X, Y = np.zeros((8, 1)), [0, 1] * 4

RATES = """
import functools
from rates_base import base, limit as top

RATE = float("1.5")
TABLE = dict(rate=RATE)
UNREAD = object()

def scaled():
    return RATE * 2

@functools.lru_cache
def cached():
    return 1

class Sizes:
    width = len("abc")
"""
FILES = {
    "rates.py": RATES,
    "rates_base.py": "base = len('ab')\ndef limit():\n    return 3\n",
    "other_base.py": "base = 5\n",
}
SCRIPT = """
def attribute(X):
    import rates
    return rates.RATE
def renamed(X):
    import rates as r
    return r.TABLE["rate"]
def name(X):
    from rates import RATE as rate
    return rate
def function(X):
    from rates import scaled
    return scaled()
def decorated(X):
    import rates
    return rates.cached()
def of_class(X):
    from rates import Sizes
    return Sizes.width
def imported(X):
    from rates import base
    return base
def imported_function(X):
    import rates
    return rates.top()
def star(X):
    import starred_rates
    return starred_rates.f()
def by_text(X):
    return __import__("rates").RATE
def other(X):
    import rates
    return rates.UNREAD
NAMES = "attribute renamed name function decorated of_class imported " \
    "imported_function star by_text other".split()
VALUES = {}
for change in CHANGES:
    for module in ("rates", "rates_base", "starred_rates"):
        sys.modules.pop(module, None)
    import rates, starred_rates
    exec(change)
    for f in NAMES:
        VALUES[change + "|" + f] = fingerprint(globals()[f])
"""
STAR = {"starred_rates.py": "from rates import *\ndef f():\n    return RATE\n"}
CHANGES = {
    "rates.RATE = 7.0": {"attribute", "name", "function", "by_text"},
    "rates.TABLE['rate'] = 7.0": {"renamed", "by_text"},
    "rates.cached = lambda: 7": {"decorated", "by_text"},
    "rates.Sizes.width = 7": {"of_class", "by_text"},
    "rates.base = 7": {"imported", "by_text"},
    "rates.top = lambda: 7": {"imported_function", "by_text"},
    "rates.UNREAD = 7": {"other", "by_text"},
    "import other_base; rates.base = other_base": {"imported", "by_text"},
}


def test_value_that_the_script_sets_counts_for_what_reads_it(tmp_path):
    """Also where the module computes it; what reads another value is the same."""
    script = f"CHANGES = {['pass', *CHANGES]}\n{SCRIPT}"
    found = keys_of(tmp_path, script, {**FILES, **STAR})
    again = keys_of(tmp_path, script, {**FILES, **STAR}, seed="3")
    assert found == again
    for change, expected in CHANGES.items():
        names = [key.partition("|")[2] for key in found if key.startswith("pass|")]
        changed = {n for n in names if found[f"{change}|{n}"] != found[f"pass|{n}"]}
        if change == "rates.RATE = 7.0":  # the module's own functions read it
            assert changed >= expected
        else:
            assert changed - {"star"} == expected, change


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """Return the folder with the modules, which are not imported."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    yield tmp_path
    for name in ("rates", "rates_base", "other_base"):
        sys.modules.pop(name, None)


class Reads(BaseEstimator):
    def __init__(self, n=0):
        self.n = n

    def fit(self, X, y=None):
        import rates

        self.rate_ = rates.RATE
        return self

    def score(self, X, y=None):
        return self.rate_


def fit(*numbers):
    """Return the scores and how many folds ran; the refit is in this process."""
    search = ResumableGridSearchCV(
        Reads(), {"n": numbers}, cv=2, checkpoint="c.sqlite", n_jobs=1
    ).fit(X, Y)
    return search.cv_results_["mean_test_score"].tolist(), search.resumption.n_run


def test_the_refit_that_imports_the_module_changes_no_key(modules):
    """The next fit in the process uses the scores, a value that is set does not."""
    assert "rates" not in sys.modules
    assert fit(1) == ([1.5], 2)
    assert "rates" in sys.modules
    assert fit(1) == ([1.5], 0)
    sys.modules["rates"].RATE = 7.0
    assert fit(1) == ([7.0], 2)
    assert fit(1) == ([7.0], 0)
    sys.modules["rates"].RATE = 1.5
    assert fit(1, 2) == ([1.5, 1.5], 2)


def test_a_value_set_before_the_first_fit_runs_in_workers(modules):
    """And not for another one, though the functions are the same."""
    rates = importlib.import_module("rates")
    for rate in (7.0, 5.0):
        rates.RATE = rate
        assert fit(1) == ([rate], 2)
        assert fit(1) == ([rate], 0)
