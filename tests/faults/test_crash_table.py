"""The crash table: what happens to a search, and what has to hold after it.

Each row is a real fault in a real search. Each ends in the same check: the search is
run again to the end, every finished fold has run once, the results are scikit-learn's
in every key but the times, no process is left, and the checkpoint is sound.
"""

import contextlib
import os
import random
import re
import signal
import threading
import time
import warnings

import numpy as np
import psutil
import pytest
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import GridSearchCV

from resumable_search import (
    CheckpointError,
    FoldTimeoutError,
    ResumableGridSearchCV,
    WorkerDiedError,
    WorkerStartError,
    read_results,
)
from resumable_search._engine import process as _process
from resumable_search._engine import resting as _resting
from resumable_search._engine import scheduler as _scheduler
from resumable_search._engine.deaths import Deaths
from tests import fakes
from tests.conftest import assert_same_results, still_running
from tests.faults import estimators
from tests.faults.checks import assert_sound

pytestmark = pytest.mark.faults

GRID = {"value": [float(value) for value in range(6)]}
N_FOLDS = 12


def search(estimator, grid=GRID, **parameters):
    parameters = {"cv": 2, "refit": False, "n_jobs": 2, **parameters}
    return ResumableGridSearchCV(estimator, grid, **parameters)


def disturbed(a_search, data):
    """Run a search in which something goes wrong; give what it raised, if it did."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            a_search.fit(*data)
        except Exception as exc:
            return exc
    return None


def check(estimator, data, log, expected=None, grid=GRID):
    """Run the search again to the end, and check all that has to hold."""
    n_done = int(sum(read_results()["n_completed"]))
    n_begun = len(fakes.fits(log))
    again = search(estimator, grid).fit(*data)
    n_folds = 2 * len(grid["value"])
    assert again.resumption.n_resumed == n_done
    assert len(fakes.fits(log)) - n_begun == n_folds - n_done
    theirs = GridSearchCV(expected or fakes.Logged(os.devnull), grid, cv=2, refit=False)
    assert_same_results(again.cv_results_, theirs.fit(*data).cv_results_)
    _resting.end_all()
    _, left = psutil.wait_procs(family(), timeout=2)
    assert not [process.cmdline() for process in left]
    assert_sound(again.resumption.checkpoint)


def family():
    """Return all child processes but those that serve the next search or test, too.

    Those are the processes that workers and scripts are forked from, the workers'
    guard, and joblib's tracker.
    """
    found = []
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it has ended
            command = " ".join(child.cmdline())
            if child.name() != "search-forks" and not re.search(
                r" -S |resource_tracker|helpers/template\.py", command
            ):
                found.append(child)
    return found


# ---------------------------------------------------------------------------
# A worker dies


@pytest.mark.parametrize("where", ["fit", "score"])
@pytest.mark.parametrize(
    "what",
    [
        "kill",
        "segfault",
        "abort",
        "leave",
        "leave_as_if_all_was_well",
        "use_up_the_address_space",
        "raise_own_end",
        "interrupt_itself",
        "fork_and_die_in_the_middle_of_a_message",
    ],
)
def test_a_worker_that_dies_costs_one_try_of_its_fold(what, where, data, log):
    """However it dies; all folds are finished by the same fit."""
    estimator = estimators.Faulty(log, where=where, what=what)
    a_search = search(estimator)
    assert disturbed(a_search, data) is None
    assert (a_search.resumption.n_run, a_search.resumption.n_failed) == (N_FOLDS, 0)
    assert len(fakes.fits(log)) == N_FOLDS + 1
    check(estimator, data, log)


def test_a_worker_that_the_kernel_kills_for_want_of_memory(data, log):
    """In a control group of 64 MB, as in a container."""
    if estimators.memory_group() is None:
        pytest.skip("no control group for memory can be made here")
    estimator = estimators.Faulty(log, what="use_up_the_cgroup")
    a_search = search(estimator)
    assert disturbed(a_search, data) is None
    assert a_search.resumption.n_failed == 0
    assert len(fakes.fits(log)) == N_FOLDS + 1
    check(estimator, data, log)


def test_a_worker_that_dies_while_it_unpickles_its_task(data, log):
    """Before its first fold began: the fold is not charged for long."""
    estimator = estimators.FaultyToLoad(log)
    a_search = search(estimator)
    assert disturbed(a_search, data) is None
    assert a_search.resumption.n_failed == 0
    check(estimator, data, log)


@pytest.fixture
def worker_code(new_interpreters, monkeypatch):
    """Give a function that has workers run some code before they begin."""
    original = _process._BOOTSTRAP

    def change(code):
        before, after = original.split("main(int", 1)
        monkeypatch.setattr(
            _process, "_BOOTSTRAP", f"{before}exec({code!r}); main(int{after}"
        )

    return change


DIE_ONCE = """
import os, signal
from pathlib import Path
def die_once():
    try:
        Path({marker!r}).touch(exist_ok=False)
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_worker_that_dies_while_it_starts(data, log, worker_code):
    """Another one is started in its place; no fold is charged."""
    worker_code(DIE_ONCE.format(marker=f"{log}.done") + "die_once()")
    estimator = fakes.Logged(log)
    a_search = search(estimator, max_retries=0)
    assert disturbed(a_search, data) is None
    assert a_search.resumption.n_failed == 0
    check(estimator, data, log)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_worker_that_dies_while_it_sends_its_result(share, data, log, worker_code):
    """Before, in the middle of, or right after the message."""
    worker_code(
        DIE_ONCE.format(marker=f"{log}.done")
        + f"""
from resumable_search._engine import worker
write_frame = worker.write_frame
def write_some(fd, message):
    if b"Answered" in message[:80] and not Path({f"{log}.done"!r}).exists():
        import struct
        frame = struct.pack("<Q", len(message)) + message
        os.write(fd, frame[: int(len(frame) * {share})])
        die_once()
    write_frame(fd, message)
worker.write_frame = write_some
"""
    )
    estimator = fakes.Logged(log)
    a_search = search(estimator)
    assert disturbed(a_search, data) is None
    assert a_search.resumption.n_failed == 0
    assert len(fakes.fits(log)) == N_FOLDS + (share < 1.0)
    check(estimator, data, log)


def test_all_workers_killed_at_once_again_and_again(data, log):
    """Each time one try of the folds that ran; with enough tries all are finished."""
    estimator = fakes.Logged(log, seconds=0.1)
    done = threading.Event()

    def kill_all():
        n_begun = 2
        while not done.wait(0.02):
            if len(fakes.fits(log)) >= n_begun:
                n_begun = len(fakes.fits(log)) + 3
                for child in family():
                    child.kill()

    killer = threading.Thread(target=kill_all)
    killer.start()
    try:
        a_search = search(estimator, max_retries=50)
        assert disturbed(a_search, data) is None
    finally:
        done.set()
        killer.join()
    assert a_search.resumption.n_failed == 0
    check(estimator, data, log)


def test_a_candidate_that_always_kills_its_worker_does_not_take_the_search_down(
    data, log
):
    """With ten folds in a row; it fails alone, as one that raises does."""
    grid = {"value": [-1.0, 1.0, 2.0]}
    a_search = search(fakes.Killed(log), grid, n_jobs=1, cv=6)
    assert disturbed(a_search, data) is None
    assert np.isnan(a_search.cv_results_["mean_test_score"]).tolist() == [
        True,
        False,
        False,
    ]
    assert fakes.fits(log).count(-1.0) == 12


def test_many_bad_candidates_before_the_good_ones_do_not_end_the_search(data, log):
    """Good ones from the end of the queue show that the machine is sound."""
    grid = {"value": [-1.0 - value for value in range(9)] + [1.0, 2.0]}
    a_search = search(fakes.Killed(log), grid, n_jobs=1, max_retries=0)
    assert disturbed(a_search, data) is None
    assert np.isfinite(a_search.cv_results_["mean_test_score"]).sum() == 2
    assert a_search.resumption.n_failed == 18


def test_workers_that_die_whatever_they_run_end_the_search(data, log):
    """A broken machine is named; what was finished before is kept."""
    good = {"value": [1.0, 2.0]}
    search(fakes.Killed(log), good).fit(*data)
    grid = {"value": good["value"] + [-1.0 - value for value in range(40)]}
    error = disturbed(search(fakes.Killed(log), grid), data)
    assert isinstance(error, WorkerDiedError)
    assert f"{Deaths.MOST} worker processes in a row" in str(error)
    assert len(fakes.fits(log)) < 4 + 30  # of 80 folds, two tries each
    again = search(fakes.Killed(log), good).fit(*data)
    assert again.resumption.n_resumed == 4


def test_where_no_process_can_be_started_the_search_ends_and_says_so(
    data, log, monkeypatch
):
    """After some tries: a lack of memory or of processes may pass."""

    def no_more(*_):
        raise BlockingIOError(11, "Resource temporarily unavailable")

    _resting.end_all()
    monkeypatch.setattr(_process, "WorkerProcess", no_more)
    error = disturbed(search(fakes.Logged(log)), data)
    assert isinstance(error, WorkerStartError)
    assert "could not be started at all" in str(error)
    assert isinstance(error.__cause__, BlockingIOError)


def test_a_worker_that_never_begins_is_given_up(data, log, worker_code, monkeypatch):
    """Several in a row are an error that says so."""
    monkeypatch.setattr(_scheduler, "START_SECONDS", 2.0)
    worker_code("import time; time.sleep(600)")
    error = disturbed(search(fakes.Logged(log)), data)
    assert isinstance(error, WorkerStartError)
    assert "did not begin within 2 seconds" in str(error)


# ---------------------------------------------------------------------------
# An estimator misbehaves


@pytest.mark.parametrize("where", ["fit", "score"])
@pytest.mark.parametrize("what", ["hang", "hang_in_c", "stop_itself"])
def test_a_fold_that_hangs_is_stopped_alone(what, where, data, log):
    """fold_timeout ends its worker; the reason is in its record; others count."""
    estimator = estimators.Faulty(log, where=where, what=what)
    a_search = search(estimator, fold_timeout=3.0)
    assert disturbed(a_search, data) is None
    assert (a_search.resumption.n_run, a_search.resumption.n_failed) == (N_FOLDS, 1)
    check(estimator, data, log)


def test_a_fold_that_hangs_is_an_error_if_errors_are_to_be_raised(data, log):
    """It says after how long, and what to do."""
    estimator = estimators.Faulty(log, what="hang")
    a_search = search(estimator, fold_timeout=2.0, error_score="raise")
    error = disturbed(a_search, data)
    assert isinstance(error, FoldTimeoutError)
    assert "fold_timeout=2" in str(error)
    check(estimator, data, log)


def test_a_fold_that_calls_sys_exit_fails_alone_and_says_so(data, log):
    """The worker goes on with other folds; nothing is tried twice."""
    estimator = estimators.Faulty(log, what="exit_by_exception")
    a_search = search(estimator)
    with (
        pytest.warns(FitFailedWarning, match=r"called sys\.exit\('cannot go on'\)"),
        pytest.warns(UserWarning, match="non-finite"),
    ):
        a_search.fit(*data)
    assert (a_search.resumption.n_run, a_search.resumption.n_failed) == (N_FOLDS, 1)
    check(estimator, data, log)


@pytest.mark.parametrize("cls", [fakes.RaisesOnce])
def test_a_fold_that_raises_fails_alone(cls, data, log):
    """And runs in the next fit."""
    a_search = search(cls(log))
    assert disturbed(a_search, data) is None
    assert a_search.resumption.n_failed == 1
    check(cls(log), data, log)


def test_an_exception_that_cannot_be_sent_fails_its_fold_alone(data, log):
    """It is described in words."""

    class Unsendable(fakes.Once):
        def misbehave(self):
            raise fakes.UnpicklableError(1, lambda: 2)

    a_search = search(Unsendable(log))
    assert disturbed(a_search, data) is None
    assert a_search.resumption.n_failed == 1
    check(Unsendable(log), data, log)


def test_a_score_that_is_nan_is_a_score(data, log):
    """As in scikit-learn: the fold is finished, and stays what it is."""

    class ScoresNan(fakes.Logged):
        def score(self, X, y=None):
            return float("nan") if self.value == 2.0 else super().score(X, y)

    with pytest.warns(UserWarning, match="non-finite"):
        search(ScoresNan(log)).fit(*data)
    n_begun = len(fakes.fits(log))
    with pytest.warns(UserWarning, match="non-finite"):
        again = search(ScoresNan(log)).fit(*data)
    assert len(fakes.fits(log)) == n_begun == N_FOLDS
    assert again.resumption.n_resumed == N_FOLDS
    assert np.isnan(again.cv_results_["split0_test_score"][2])


@pytest.mark.parametrize("wrong", ["text", "complex", "nothing", "list", "object"])
def test_a_score_of_a_wrong_type_is_an_error_as_in_scikit_learn(wrong, data, log):
    """It names the value, nothing of it is stored, and other folds are kept."""
    estimator = estimators.ScoresOnce(log, wrong=wrong)
    error = disturbed(search(estimator), data)
    assert isinstance(error, TypeError | ValueError)
    assert "scor" in str(error)
    check(estimator, data, log)


def test_a_fold_that_prints_100_mb_holds_nobody_up(data, log, capfd):
    """All of it comes out."""
    estimator = estimators.PrintsMuch(log)
    assert disturbed(search(estimator, {"value": [1.0, 2.0]}), data) is None
    out, _ = capfd.readouterr()
    assert out.count("x") == 2 * 100 * 2**20
    check(estimator, data, log, grid={"value": [1.0, 2.0]})


def test_what_a_fold_changes_in_its_worker_is_put_back(data, log):
    """Directory, environment, signal handlers and alarms; the next fold sees none."""
    found = search(estimators.SeesTheMess(log), n_jobs=1).fit(*data)
    assert found.cv_results_["mean_test_score"].tolist() == [0.0] * 6
    _resting.end_all()


def test_a_forked_child_of_a_fold_does_not_answer_for_other_folds(data, log):
    """It would be taken for the worker, with folds that it has copied."""
    grid = {"value": [float(value) for value in range(60)]}
    search(fakes.Logged(log), grid, scoring=lambda *_: 0.0).fit(*data)  # known as short
    a_search = search(estimators.ForksOnce(log), grid)
    assert disturbed(a_search, data) is None
    assert (a_search.resumption.n_run, a_search.resumption.n_failed) == (120, 0)
    check(estimators.ForksOnce(log), data, log, grid=grid)


def test_a_fold_that_leaves_threads_and_processes_behind(data, log):
    """They end with the worker."""
    estimator = estimators.Messy(log)
    assert disturbed(search(estimator), data) is None
    assert len(fakes.fits(log)) == N_FOLDS
    check(estimator, data, log)


SCRIPT = """
    import sys
    import numpy as np
    from resumable_search import ResumableGridSearchCV
    from tests import fakes
    from tests.faults import estimators

    X = np.arange(24, dtype=np.float64).reshape(12, 2)
    search = ResumableGridSearchCV(
        getattr(estimators, sys.argv[2], None)(sys.argv[1], seconds=float(sys.argv[3])),
        {"value": [float(value) for value in range(6)]},
        cv=2, n_jobs=2, refit=False, max_retries=100, grace_period=0.05,
    )
    search.fit(X, np.array([0, 1] * 6))
    print("finished", search.resumption.n_resumed)
"""


def test_what_a_fold_has_started_ends_with_a_killed_parent(script, log):
    """No process is left two seconds after a SIGKILL of the search."""
    process = script(SCRIPT, log, "Messy", 30)
    deadline = time.monotonic() + 60
    while (n := n_sleepers(process)) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert n == 2  # one in each worker
    children = psutil.Process(process.pid).children(recursive=True)
    os.kill(process.pid, signal.SIGKILL)
    assert not still_running(children)


def n_sleepers(process):
    n = 0
    for child in psutil.Process(process.pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            n += "time.sleep(300)" in " ".join(child.cmdline())
    return n


def wait_for_fits(log, n, process=None):
    deadline = time.monotonic() + 60
    while len(fakes.fits(log)) < n and time.monotonic() < deadline:
        if process is not None and process.poll() is not None:
            return  # it had nothing left to run
        time.sleep(0.02)
    assert len(fakes.fits(log)) >= n


# ---------------------------------------------------------------------------
# Random times


@pytest.mark.parametrize("seed", range(3))
def test_interrupted_at_random_times_progress_never_goes_backwards(
    seed, script, log, data
):
    """SIGKILL, SIGTERM and SIGINT for the search, SIGKILL for its workers."""
    generator = random.Random(seed)
    n_done = n_rounds = 0
    while True:
        n_rounds += 1
        assert n_rounds < 60
        process = script(SCRIPT, log, "Faulty", 0.3)
        children = []
        if n_rounds > 2:  # the first ones may end before anything has begun
            wait_for_fits(log, len(fakes.fits(log)) + 1, process)
        deadline = time.monotonic() + generator.uniform(0.2, 2.0)
        while time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.05)
            if generator.random() < 0.02:
                for child in psutil.Process(process.pid).children():
                    kill_if_there(child)
        if process.poll() is None:
            children = psutil.Process(process.pid).children(recursive=True)
            process.send_signal(
                generator.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
            )
        out, err = process.communicate(timeout=60)
        assert not still_running(children)
        n_before, n_done = n_done, finished_folds()
        assert n_done >= n_before
        if "finished" in out:
            break
        assert process.returncode != 0, err
    assert n_done == N_FOLDS
    check(estimators.Faulty(log, seconds=0.3), data, log)


def kill_if_there(process):
    with contextlib.suppress(psutil.Error):
        process.kill()


def finished_folds():
    try:
        return int(sum(read_results()["n_completed"]))
    except CheckpointError as exc:
        # It was killed before it had made one.
        if not re.search("does not exist|is empty|holds no search", str(exc)):
            raise
        return 0
