"""The crash table of the pool: where a worker dies, what is raised, what it says."""

import os
import signal
import threading
import time
import warnings
from typing import ClassVar

import numpy as np
import psutil
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import FitFailedWarning

from resumable_search import (
    ResumableGridSearchCV,
    WorkerDiedError,
    WorkerError,
    WorkerStartError,
)
from resumable_search._engine import forkserver as _forkserver
from resumable_search._engine import pool as _pool
from resumable_search._engine import process as _process
from resumable_search._engine.events import Start
from resumable_search._engine.occupants import Occupant
from resumable_search._gpu.devices import SlotPlan
from tests import fakes
from tests.conftest import still_running
from tests.helpers.tasks import task

GRID = {"value": [-1.0, 1.0, 2.0]}


def search(estimator, grid=GRID, **parameters):
    parameters = {"cv": 2, "refit": False, **parameters}
    return ResumableGridSearchCV(estimator, grid, **parameters)


def test_a_killed_worker_costs_its_fold_one_try(data, log):
    """A fold whose worker was killed once is run again and counts."""
    found = search(fakes.KilledOnce(log), n_jobs=2).fit(*data)
    assert np.isfinite(found.cv_results_["mean_test_score"]).all()
    assert len(fakes.fits(log)) == 7  # six folds, one of them twice
    assert found.resumption.n_failed == 0


@pytest.mark.parametrize(
    ("fake", "says"),
    [
        (fakes.Killed, "killed by signal SIGKILL"),
        *(
            pytest.param(fake, says, marks=pytest.mark.slow)
            for fake, says in [
                (fakes.Segfaults, "killed by signal SIGSEGV"),
                (fakes.Exits, "ended with exit code 7"),
                (fakes.ForksAndDies, "ended with exit code 3"),
            ]
        ),
        (fakes.ExitsCleanly, "ended with exit code 0"),
    ],
)
def test_a_candidate_that_always_kills_its_worker_fails_alone(fake, says, data, log):
    """Its folds get the error score and say how the worker ended; others count."""
    with (
        pytest.warns(FitFailedWarning, match=says),
        pytest.warns(UserWarning, match="non-finite"),
    ):
        found = search(fake(log), n_jobs=2).fit(*data)
    scores = found.cv_results_["mean_test_score"]
    assert np.isnan(scores[0])
    assert np.isfinite(scores[1:]).all()
    assert found.resumption.n_failed == 2
    assert fakes.fits(log).count(-1.0) == 4  # two folds, two tries each


def test_max_retries_0_gives_a_fold_one_try(data, log):
    """With max_retries=0 a fold is not run again."""
    with pytest.warns(FitFailedWarning), pytest.warns(UserWarning, match="non-finite"):
        search(fakes.Killed(log), max_retries=0).fit(*data)
    assert fakes.fits(log).count(-1.0) == 2


def test_error_score_raise_raises_how_the_worker_ended(data, log):
    """With error_score="raise" the death of a worker is an exception."""
    with pytest.raises(WorkerDiedError, match="SIGKILL") as caught:
        search(fakes.Killed(log), error_score="raise").fit(*data)
    assert "2 tries" in str(caught.value)


def test_a_failed_fold_is_tried_again_by_the_next_fit(data, log):
    """Only folds with scores are finished."""
    with pytest.warns(FitFailedWarning), pytest.warns(UserWarning, match="non-finite"):
        search(fakes.RaisesOnce(log)).fit(*data)
    found = search(fakes.RaisesOnce(log)).fit(*data)
    assert found.resumption.n_resumed == 5
    assert found.resumption.n_run == 1


def test_an_exception_keeps_its_type_and_shows_the_workers_traceback(data, log):
    """error_score="raise" raises what fit raised, caused by a traceback from there."""
    with pytest.raises(RuntimeError, match="no fit with") as caught:
        search(fakes.Raises(log), error_score="raise").fit(*data)
    assert "in act" in str(caught.value.__cause__)


def test_an_exception_of_a_local_class_can_be_caught(data, log):
    """A class that no module has comes back as the same class."""

    class LocalError(Exception):
        pass

    class RaisesLocal(fakes.Logged):
        def act(self):
            raise LocalError("here")

    with pytest.raises(LocalError, match="here"):
        search(RaisesLocal(log), error_score="raise").fit(*data)


def test_an_exception_that_cannot_be_sent_is_described(data, log):
    """An exception that cannot be pickled still says what it was."""
    with pytest.raises(WorkerError, match="UnpicklableError: cannot be read back"):
        search(fakes.RaisesUnpicklable(log), error_score="raise").fit(*data)


def test_what_a_worker_prints_comes_out_of_the_parents_streams(data, log, capsys):
    """Python's streams and the process's own are relayed, each to its place."""
    search(fakes.Prints(log), {"value": [1.0]}).fit(*data)
    out, err = capsys.readouterr()
    assert out.count("fitting 1.0\n") == 2
    assert out.count("from below Python\n") == 2
    assert err.count("problem 1.0\n") == 2


def test_a_workers_warning_is_a_warning_here(data, log):
    """Warnings of an estimator can be caught and filtered in the calling process."""

    class Warns(fakes.Logged):
        def act(self):
            warnings.warn("odd data", RuntimeWarning, stacklevel=1)

    with pytest.warns(RuntimeWarning, match="odd data"):
        search(Warns(log)).fit(*data)


reads_any_variable = pytest.mark.filterwarnings(
    "ignore:The function Environment.score uses os.environ"
)


@reads_any_variable
def test_workers_share_the_cores(data, log, monkeypatch):
    """Thread pools of numerical libraries are limited by joblib's convention."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    n_cores = os.cpu_count()
    found = search(fakes.Environment(log), n_jobs=n_cores).fit(*data)
    assert set(found.cv_results_["mean_test_score"]) == {1.0}


@reads_any_variable
def test_the_users_thread_limit_wins(data, log, monkeypatch):
    """A variable that the user has set is left alone."""
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    found = search(fakes.Environment(log), n_jobs=2).fit(*data)
    assert set(found.cv_results_["mean_test_score"]) == {3.0}


def test_an_estimator_may_be_parallel_itself(data, log):
    """Nested parallelism works, with threads as in joblib's own workers."""
    found = search(fakes.Nested(log), n_jobs=2).fit(*data)
    assert set(found.cv_results_["mean_test_score"]) == {1.0}


def test_workers_stay_for_the_next_fit(data, log):
    """A second fit of this process uses the workers of the first."""
    search(fakes.Logged(log)).fit(*data)
    search(fakes.Logged(log), {"value": [7.0]}).fit(*data)
    assert len(set(fakes.workers(log))) == 1


@reads_any_variable
def test_workers_are_renewed_when_the_environment_has_changed(data, log, monkeypatch):
    """What an estimator reads from the environment is that of now."""
    monkeypatch.setenv("A_SETTING", "1")
    grid = {"value": [1.0], "variable": ["A_SETTING"]}
    first = search(fakes.Environment(log), grid).fit(*data)
    monkeypatch.setenv("A_SETTING", "2")
    grid = {"value": [2.0], "variable": ["A_SETTING"]}
    second = search(fakes.Environment(log), grid).fit(*data)
    assert first.cv_results_["mean_test_score"] == [1.0]
    assert second.cv_results_["mean_test_score"] == [2.0]


def test_workers_that_hold_a_gpu_do_not_rest():
    """Their memory is free before the refit."""
    pool = _pool.WorkerPool([SlotPlan()], {})
    (slot,) = pool._occupants
    pool._do([Start(slot)])
    process = psutil.Process(pool.running()[0].pid)
    pool.rest()
    assert process.is_running()
    slot.holds_gpu = True
    pool.rest()
    assert not process.is_running()


@pytest.mark.parametrize("what", ["start", "send", "end"])
def test_a_pool_that_was_interrupted_goes_on_with_the_next_search(what, monkeypatch):
    """Ctrl-C may come before what is to be done is done: a start, say."""
    pool = _pool.WorkerPool([SlotPlan()] * 2, {})
    pool.submit(task(0))
    pool.submit(task(1))
    if what == "end":
        pool.feed()

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    act = pool.terminate if what == "end" else pool.feed
    with monkeypatch.context() as patched:
        patched.setattr(Occupant, what, interrupted)
        with pytest.raises(KeyboardInterrupt):
            act()
    before = [psutil.Process(running.pid) for running in pool.running()]
    pool.rest()
    assert not any(process.is_running() for process in before)
    assert pool.running() == []
    pool.submit(task(2))
    pool.feed()
    assert [running.task_id for running in pool.running()] == [2]
    pool.terminate()


def test_workers_that_do_not_start_end_the_search(new_interpreters, data, monkeypatch):
    """An environment in which no worker starts is an error, not a loop."""
    monkeypatch.setattr(_process, "_BOOTSTRAP", "raise SystemExit('no module')")
    with pytest.raises(WorkerStartError, match=r"5 in a row.*exit code 1"):
        search(DummyClassifier(), {"strategy": ["prior"]}, n_jobs=2).fit(*data)


def test_a_candidate_may_hold_much_data(data, log):
    """Large parameter values do not go through the pipe."""
    grid = {"value": [np.full(100_000, 1.0), np.full(100_000, 2.0)]}

    class Large(fakes.Logged):
        def fit(self, X, y):
            self.value_ = self.value[0]
            return self

        def score(self, X, y=None):
            return self.value_

    found = search(Large(log), grid, n_jobs=2).fit(*data)
    assert list(found.cv_results_["mean_test_score"]) == [1.0, 2.0]


def test_a_long_fold_does_not_hold_up_those_queued_behind_it(data, log):
    """Folds that wait in one worker go to another that is idle."""

    class Uneven(fakes.Logged):
        def fit(self, X, y):
            self.seconds = 1.5 if self.value == 30 else 0.0
            return super().fit(X, y)

    grid = {"value": list(map(float, range(60)))}
    search(Uneven(log), grid, n_jobs=2).fit(*data)
    workers, values = fakes.workers(log), fakes.fits(log)
    assert len(values) == 120
    # What began after the long folds began did so in the worker that was free first.
    last = max(i for i, value in enumerate(values) if value == 30.0)
    assert set(workers[last + 1 :]) != {workers[last]}


@pytest.fixture
def short_lived(new_interpreters, monkeypatch):
    """Have workers end after a second without work, as they do after five minutes."""
    short = (
        "import resumable_search._engine.worker as worker; worker.IDLE_SECONDS = 1.0; "
        "from resumable_search._engine.worker import main; "
    )
    text = _process._BOOTSTRAP.replace(
        "from resumable_search._engine.worker import main; ", short
    )
    assert text != _process._BOOTSTRAP
    monkeypatch.setattr(_process, "_BOOTSTRAP", text)


def test_a_worker_that_cannot_end_is_not_waited_for(data, log, short_lived):
    """It said that it ends for want of work; a thread of the estimator's keeps it."""

    class LeavesThread(fakes.Logged):
        def act(self):
            threading.Thread(target=time.sleep, args=(3600,)).start()

    search(LeavesThread(log), {"value": [1.0]}).fit(*data)
    time.sleep(2)
    found = search(LeavesThread(log), {"value": [2.0]}).fit(*data)
    assert found.resumption.n_run == 2


def test_a_worker_that_died_at_rest_costs_no_fold_a_try(data, log):
    """The next fit starts another one."""
    search(fakes.Logged(log), {"value": [1.0]}).fit(*data)
    os.kill(fakes.workers(log)[0], signal.SIGKILL)
    time.sleep(0.3)
    found = search(fakes.Logged(log), {"value": [2.0]}, max_retries=0).fit(*data)
    assert (found.resumption.n_run, found.resumption.n_failed) == (2, 0)


class TwoPartsWarning(UserWarning):
    """Can be written by pickle, and not be read."""

    def __init__(self, one, other):
        super().__init__(f"{one} and {other}")


class LockWarning(UserWarning):
    """Cannot even be written."""

    def __init__(self, *_):
        super().__init__("one and other")
        self.lock = threading.Lock()


@pytest.mark.parametrize("cls", [TwoPartsWarning, LockWarning])
def test_a_warning_that_cannot_be_sent_keeps_its_text(cls, data, log, monkeypatch):
    """It comes out as the nearest of Python's own warnings; the fold counts."""
    monkeypatch.setenv("PYTHONWARNINGS", "default")

    class Warns(fakes.Logged):
        def act(self):
            warnings.warn(cls("one", "other"), stacklevel=1)

    with pytest.warns(UserWarning, match="one and other"):
        found = search(Warns(log), {"value": [1.0]}).fit(*data)
    assert np.isfinite(found.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize("error_score", [np.nan, -1.0])
def test_a_fault_on_the_gpu_fails_its_fold_alone(error_score, data, log):
    """A CUDA context is of no use after a fault, so the worker is replaced."""

    class Faults(fakes.Logged):
        poisoned: ClassVar[list] = []

        def act(self):
            if self.value < 0 or self.poisoned:
                self.poisoned.append(self.value)
                raise RuntimeError(
                    "CUDA error: an illegal memory access was encountered"
                )

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = search(Faults(log), error_score=error_score).fit(*data)
    assert found.resumption.n_failed == 2
    assert np.isfinite(found.cv_results_["mean_test_score"][1:]).all()


SLEEPER = """
    import signal, sys
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's & ignores it
    import numpy as np
    from resumable_search import ResumableGridSearchCV
    from tests.fakes import Logged

    search = ResumableGridSearchCV(
        Logged(sys.argv[1], seconds=60), {"value": [1.0, 2.0]}, cv=2, n_jobs=2
    )
    search.fit(np.zeros((8, 1)), np.array([0, 1] * 4))
"""


def test_workers_do_not_outlive_a_killed_parent(script, log):
    """After a SIGKILL of the parent all workers are gone within two seconds."""
    parent = script(SLEEPER, log)
    deadline = time.monotonic() + 60
    while len(fakes.fits(log)) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    workers = psutil.Process(parent.pid).children(recursive=True)
    # With the process that guards them, and the one they are forked from.
    assert len(workers) == 3 + _forkserver.IS_POSSIBLE
    os.kill(parent.pid, signal.SIGKILL)
    assert not still_running(workers)


def test_an_interrupt_ends_the_workers_and_keeps_what_is_done(script, log):
    """Ctrl-C stops a search at once; no worker stays."""
    parent = script(SLEEPER, log)
    deadline = time.monotonic() + 60
    while len(fakes.fits(log)) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    workers = psutil.Process(parent.pid).children(recursive=True)
    os.kill(parent.pid, signal.SIGINT)
    _, err = parent.communicate(timeout=20)
    assert "SearchInterrupted" in err
    assert not still_running(workers)
