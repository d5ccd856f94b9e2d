"""What a search tells the loggers of the standard library."""

import logging

import pytest
from sklearn.exceptions import FitFailedWarning

from resumable_search import ResumableGridSearchCV
from tests import fakes


def messages(caplog, level):
    return [r.getMessage() for r in caplog.records if r.levelno == level]


def fit(estimator, data, **parameters):
    parameters = {"cv": 2, "refit": False, **parameters}
    search = ResumableGridSearchCV(estimator, {"value": [1.0, 2.0]}, **parameters)
    return search.fit(*data)


def test_a_search_says_where_it_is_and_how_it_ended(data, log, caplog):
    """Checkpoint, resumed folds and the end, each in a line."""
    caplog.set_level(logging.INFO, "resumable_search")
    fit(fakes.Logged(log), data)
    fit(fakes.Logged(log), data)
    told = messages(caplog, logging.INFO)
    assert any(m.startswith("Checkpoint ") and m.endswith(" opened") for m in told)
    assert "Folds resumed from the checkpoint: 4" in told
    assert sum(m.startswith("Search finished: ") for m in told) == 2
    assert messages(caplog, logging.WARNING) == []


def test_a_worker_that_dies_is_a_warning(data, log, caplog):
    """How it ended, and that its fold runs again in another one."""
    caplog.set_level(logging.INFO, "resumable_search")
    fit(fakes.KilledOnce(log), data, n_jobs=1)
    died, again = messages(caplog, logging.WARNING)
    assert "was killed by signal" in died
    assert again == "A fold of candidate 0 runs again: try 2"
    started = [m for m in messages(caplog, logging.INFO) if "started" in m]
    assert all(m.startswith("Worker 0 started: process ") for m in started)


def test_a_fold_that_fails_is_a_warning(data, log, caplog):
    """With the last line of its traceback."""
    caplog.set_level(logging.INFO, "resumable_search")
    with pytest.warns(FitFailedWarning), pytest.warns(UserWarning, match="non-finite"):
        fit(fakes.RaisesOnce(log), data, n_jobs=1)
    (failed,) = messages(caplog, logging.WARNING)
    assert failed.endswith("split 0: RuntimeError: only this time")


def test_nobody_hears_of_it_who_has_not_asked(data, log, capfd):
    """No handler prints, and the root logger is left alone."""
    handlers = list(logging.getLogger().handlers)
    fit(fakes.KilledOnce(log), data, n_jobs=1)
    assert "runs again" not in "".join(capfd.readouterr())
    assert logging.getLogger().handlers == handlers
