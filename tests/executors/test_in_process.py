"""Folds in the process that called fit, for debuggers."""

import os
import random
import signal
import subprocess
import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

from resumable_search import (
    ResumableGridSearchCV,
    SearchInterrupted,
    TimeBudgetWarning,
    WorkerError,
    read_results,
)
from tests import fakes
from tests.conftest import assert_same_results

#: Of this module; a fold that changes it changes its own.
SEEN = []


class Draws(ClassifierMixin, BaseEstimator):
    """Has a score that shows what it has drawn and what it has found."""

    fits = []  # noqa: RUF012 - it is to be shared

    def __init__(self, value=0.0):
        self.value = value

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        SEEN.append(self.value)
        Draws.fits.append(self.value)
        os.environ["OF_THE_FOLD"] = "1"
        os.chdir("/")
        return self

    def score(self, X, y):
        drawn = np.random.random() + random.random()
        return drawn + 10 * len(SEEN) + 100 * len(Draws.fits)


class Interrupted(fakes.Logged):
    """Gets a Ctrl-C in its first fold."""

    def act(self):
        if len(fakes.fits(self.log)) == 1:
            os.kill(os.getpid(), signal.SIGINT)


class Exits(fakes.Logged):
    """Calls sys.exit."""

    def act(self):
        raise SystemExit(3)


def search(estimator, values=(1.0, 2.0), **parameters):
    parameters = {"cv": 2, "refit": False, "executor": "in-process", **parameters}
    return ResumableGridSearchCV(estimator, {"value": [*values]}, **parameters)


def test_results_are_those_of_scikit_learn(iris):
    """And the folds run in this process."""
    arguments = LogisticRegression(max_iter=200), {"C": [0.1, 1.0, 10.0]}
    ours = ResumableGridSearchCV(*arguments, executor="in-process").fit(*iris)
    assert_same_results(
        ours.cv_results_, GridSearchCV(*arguments).fit(*iris).cv_results_
    )


def test_folds_run_in_the_process_of_fit(data, log):
    """One after the other, whatever n_jobs is."""
    search(fakes.Logged(log), n_jobs=4).fit(*data)
    assert set(fakes.workers(log)) == {os.getpid()}


@pytest.mark.parametrize("first", ["in-process", "local"])
def test_a_fold_scores_as_in_a_worker(data, first):
    """It has the same seed, and finds nothing of the folds before it."""
    second = {"in-process": "local", "local": "in-process"}[first]
    scores = [
        search(Draws(), executor=executor, checkpoint=f"{executor}.sqlite")
        .fit(*data)
        .cv_results_["mean_test_score"]
        .tolist()
        for executor in (first, second)
    ]
    assert scores[0] == scores[1]
    again = search(Draws(), executor=second, checkpoint=f"{first}.sqlite").fit(*data)
    assert (again.resumption.n_resumed, again.resumption.n_run) == (4, 0)


def test_what_a_fold_changes_is_put_back(data, tmp_path):
    """The script goes on with its own directory, variables and generators."""
    draws = random.getstate(), np.random.get_state()[1].tolist()
    definitions = Draws, Draws.fit, search
    search(Draws()).fit(*data)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == draws
    assert (Draws, Draws.fit, search) == definitions
    assert "OF_THE_FOLD" not in os.environ
    assert Path.cwd() == tmp_path
    assert (SEEN, Draws.fits) == ([], [])


def test_an_error_is_the_one_that_was_raised(data, log):
    """Its traceback leads to the line of the estimator."""
    with pytest.raises(RuntimeError, match="no fit") as caught:
        search(fakes.Raises(log, -1.0), [-1.0], error_score="raise").fit(*data)
    assert "act" in [entry.name for entry in caught.traceback]


def test_a_fold_that_raises_has_the_error_score(data, log):
    """As in scikit-learn; the others run."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = search(fakes.RaisesOnce(log)).fit(*data)
    assert np.isnan(found.cv_results_["mean_test_score"]).sum() == 1
    assert (found.resumption.n_run, found.resumption.n_failed) == (4, 1)


def test_a_fold_that_calls_sys_exit_fails_alone(data, log):
    """The search goes on."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ValueError, match=r"All the 4 fits failed|sys\.exit\(3\)"):
            search(Exits(log)).fit(*data)


def test_ctrl_c_ends_the_fold(data, log):
    """Nobody has to wait for it."""
    with pytest.raises(SearchInterrupted, match="0 of 4 folds"):
        search(Interrupted(log, seconds=60)).fit(*data)


def test_ctrl_c_lets_the_fold_end_that_has_a_grace_period(data, log):
    """It is kept."""
    with pytest.raises(SearchInterrupted, match="1 of 4 folds"):
        search(Interrupted(log), grace_period=60).fit(*data)
    found = search(Interrupted(log)).fit(*data)
    assert (found.resumption.n_resumed, found.resumption.n_run) == (1, 3)


def test_no_fold_begins_after_the_time_budget(data, log):
    """Those that are left out run in the next fit."""
    with pytest.warns(TimeBudgetWarning):
        found = search(fakes.Logged(log, seconds=0.3), time_budget=0.8).fit(*data)
    assert found.resumption.n_left_out > 0
    assert len(found.cv_results_["params"]) == 1


def test_a_search_in_a_fold_of_a_search(data):
    """Both run here."""
    inner = ResumableGridSearchCV(
        LogisticRegression(), {"C": [1.0, 2.0]}, cv=2, executor="in-process"
    )
    grid = {"estimator__max_iter": [50, 100]}
    outer = ResumableGridSearchCV(inner, grid, cv=2, executor="in-process").fit(*data)
    assert outer.resumption.n_run == 4


class Stays:
    """Cannot be sent, so that it cannot be put back either."""

    n = 0

    def __resumable_search_key__(self):
        return self.n

    def __reduce__(self):
        raise TypeError("not to be sent")


stays = Stays()


class Counts(BaseEstimator):
    """Changes what cannot be put back."""

    def __init__(self, value=0.0):
        self.value = value

    def fit(self, X, y=None):
        stays.n += 1
        return self

    def score(self, X, y=None):
        return float(stays.n)


def test_what_cannot_be_put_back_is_an_error(data, monkeypatch):
    """A worker would be replaced; here the score would depend on other folds."""
    monkeypatch.setattr(stays, "n", 0)
    with pytest.raises(WorkerError, match=r"stays.*executor='local'"):
        search(Counts()).fit(*data)
    assert read_results()["n_completed"].tolist() == [1, 0]


DEBUGGED = """
    import numpy as np
    from sklearn.base import BaseEstimator
    from resumable_search import ResumableGridSearchCV

    class Model(BaseEstimator):
        def __init__(self, value=0):
            self.value = value

        def fit(self, X, y=None):
            breakpoint()
            return self  # the line that is shown

        def score(self, X, y=None):
            return self.value

    ResumableGridSearchCV(
        Model(), {"value": [41]}, cv=2, refit=False, executor="in-process"
    ).fit(np.zeros((4, 1)))
"""


def test_a_breakpoint_stops_in_the_estimator(script):
    """The debugger shows the lines of the script and has the fold's values."""
    process = script(DEBUGGED, stdin=subprocess.PIPE)
    out, err = process.communicate("p self.value + 1\nc\np X.shape\nc\n", timeout=60)
    assert process.returncode == 0, err
    assert out.count("return self  # the line that is shown") == 2
    assert "42\n" in out
    assert "(2, 1)\n" in out


OWN_CLASSES = """
    import warnings
    import numpy as np
    from sklearn.base import BaseEstimator
    from resumable_search import ResumableGridSearchCV

    class Failure(Exception):
        pass

    class Hint(UserWarning):
        pass

    class Model(BaseEstimator):
        def __init__(self, value=0):
            self.value = value

        def fit(self, X, y=None):
            warnings.warn("look out", Hint)
            if self.value:
                raise Failure("no")
            return self

        def score(self, X, y=None):
            return 0.0

    def search(value):
        return ResumableGridSearchCV(
            Model(), {"value": [value]}, cv=2, refit=False, executor="in-process",
            error_score="raise",
        ).fit(np.zeros((4, 1)))

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        search(0)
        print(*{type(warning.message) is Hint for warning in caught})
        try:
            search(1)
        except Failure as exc:
            print("caught", exc)
"""


def test_exceptions_and_warnings_are_of_the_classes_of_the_script(script):
    """Though the fold has copies of these, the script can catch them."""
    out, err = script(OWN_CLASSES).communicate(timeout=60)
    assert out.splitlines() == ["True", "caught no"], err


def test_a_module_of_the_users_has_its_values_again_for_the_refit(data):
    """What the folds have appended to a list is gone by then."""
    found = search(Draws(), refit=True, executor="in-process").fit(*data)
    assert [found.best_params_["value"]] == SEEN
    SEEN.clear()
    Draws.fits.clear()
