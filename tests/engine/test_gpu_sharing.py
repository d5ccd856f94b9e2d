"""Workers that share GPUs: real workers on a fake machine with GPUs."""

import os
import signal

import numpy as np
import psutil
import pytest
from sklearn.exceptions import FitFailedWarning

from resumable_search import (
    DeviceError,
    ResumableGridSearchCV,
    ResumableSearchWarning,
)
from resumable_search._engine import process as _process
from resumable_search._engine import resting as _resting
from resumable_search._engine import slots as _slots
from resumable_search._gpu import placement as _placement
from tests import fakes


@pytest.fixture
def machine(monkeypatch):
    """Give a function that makes this a machine with GPUs of 80 GB."""

    def make(n_gpus, **options):
        layer = fakes.FakeDevices(n_gpus, **options)
        monkeypatch.setattr(_placement, "layer", layer)
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    return make


def search(estimator, values, **parameters):
    parameters = {"cv": 2, "refit": False, "n_jobs": 2, **parameters}
    return ResumableGridSearchCV(estimator, {"value": values}, **parameters)


def test_each_worker_sees_one_gpu(machine, data, log):
    """Workers are spread over the GPUs, each with its share and by UUID."""
    machine(2)
    search(fakes.SeesGpu(log, seconds=0.1), [1.0, 2.0, 3.0]).fit(*data)
    notes = fakes.gpu_notes(log)
    assert {note["visible"] for note in notes} == {"GPU-00aa-fake", "GPU-11aa-fake"}
    assert {note["share"] for note in notes} == {71 * 10**9}
    assert {note["jax"] for note in notes} == {"0.8875"}


@pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2,
    reason="needs two cores that can be told apart",
)
def test_workers_on_a_gpu_have_cores_of_their_own(machine, data, log):
    """No core serves two workers, and thread pools are no larger than the cores."""
    machine(1)
    search(fakes.SeesGpu(log, seconds=0.3), [1.0, 2.0, 3.0]).fit(*data)
    cores = {note["pid"]: set(note["cores"]) for note in fakes.gpu_notes(log)}
    assert len(cores) == 2
    first, second = cores.values()
    assert not first & second
    for note in fakes.gpu_notes(log):
        assert int(note["threads"]) <= len(note["cores"])


def test_devices_none_hides_the_gpus(machine, data, log):
    """Workers that are to leave GPUs alone do not see any."""
    machine(1)
    search(fakes.SeesGpu(log), [1.0], devices=None).fit(*data)
    assert {note["visible"] for note in fakes.gpu_notes(log)} == {"-1"}


def test_a_wrong_device_is_an_error_before_any_fold(machine, data, log):
    """It says what is there."""
    machine(1)
    with pytest.raises(DeviceError, match=r"names the GPU 4.*0: Fake 80GB"):
        search(fakes.Logged(log), [1.0], devices=[4]).fit(*data)
    assert fakes.fits(log) == []


@pytest.mark.parametrize("parameters", [{"n_jobs": 4}, {"gpu_memory": 0.5}])
def test_shares_may_change_on_resume(parameters, machine, data, log):
    """How a fold ran is no part of what its score depends on."""
    machine(1)
    search(fakes.SeesGpu(log), [1.0]).fit(*data)
    found = search(fakes.SeesGpu(log), [1.0, 2.0], **parameters).fit(*data)
    assert (found.resumption.n_resumed, found.resumption.n_run) == (2, 2)


def test_a_fold_that_runs_out_of_memory_is_tried_again_alone(machine, data, log):
    """With the whole GPU it succeeds, at no charge, and the others go on."""
    machine(1, context=0)
    estimator = fakes.NeedsMemory(log, seconds=0.1)
    found = search(estimator, [1.0, 50.0, 2.0, 3.0], max_retries=0).fit(*data)
    assert np.isfinite(found.cv_results_["mean_test_score"]).all()
    shares = [n["share"] / 1e9 for n in fakes.gpu_notes(log) if n["value"] == 50]
    assert sorted(shares) == [36, 36, 72, 72]


@pytest.mark.slow
def test_nobody_else_is_on_the_gpu_meanwhile(machine, data, log):
    """Workers that hold a part of the memory have ended when a fold runs alone."""
    machine(1, context=0)

    class LooksAround(fakes.NeedsMemory):
        def act(self):
            if fakes.slot()["share"] > 50e9:
                siblings = psutil.Process(os.getppid()).children()
                assert sum(s.name() == "search-worker" for s in siblings) == 1

    found = search(
        LooksAround(log, seconds=0.2),
        [1.0, 50.0, 2.0, 51.0, 3.0],
        error_score="raise",
    ).fit(*data)
    assert np.isfinite(found.cv_results_["mean_test_score"]).all()


@pytest.mark.slow
def test_other_gpus_go_on_meanwhile(machine, data, log):
    """Only the GPU of the fold is cleared."""
    machine(2, context=0)
    estimator = fakes.NeedsMemory(log, seconds=0.1)
    found = search(estimator, [1.0, 50.0, 2.0, 3.0], n_jobs=4).fit(*data)
    assert np.isfinite(found.cv_results_["mean_test_score"]).all()
    alone = {n["visible"] for n in fakes.gpu_notes(log) if n["share"] > 50e9}
    assert alone <= {"GPU-00aa-fake", "GPU-11aa-fake"}


def test_a_fold_that_needs_more_than_the_gpu_fails(machine, data, log):
    """It says which candidate, how much it had, and what to change; others count."""
    machine(1, context=0)
    with (
        pytest.warns(FitFailedWarning) as caught,
        pytest.warns(UserWarning, match="non-finite"),
    ):
        found = search(fakes.NeedsMemory(log), [1.0, 90.0]).fit(*data)
    (text,) = [str(w.message) for w in caught if w.category is FitFailedWarning]
    assert "The candidate {'value': 90.0} ran out of GPU memory, alone on" in text
    assert "Fake 80GB (GPU-00aa-fake), with 72.0 of its 80.0 GB" in text
    assert "Lower its batch size" in text
    assert np.isnan(found.cv_results_["mean_test_score"][1])
    assert found.resumption.n_failed == 2


def test_error_score_raise_says_so_too(machine, data, log):
    """The exception is the framework's, with the candidate and the way out added."""
    machine(1, context=0)
    with pytest.raises(RuntimeError, match="CUDA out of memory") as caught:
        search(fakes.NeedsMemory(log), [90.0], error_score="raise").fit(*data)
    assert "{'value': 90.0} ran out of GPU memory" in caught.value.__notes__[0]


def test_cublas_never_ends_a_search(machine, data, log):
    """A library that finds no room for its handle is out of memory like any other."""
    machine(1, context=0)
    estimator = fakes.NeedsMemory(
        log, message="CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"
    )
    found = search(estimator, [50.0], error_score="raise").fit(*data)
    assert np.isfinite(found.cv_results_["mean_test_score"]).all()


def test_out_of_memory_in_a_scorer(machine, data, log):
    """Predicting may need more memory than fitting; the fold is tried again alone."""
    machine(1, context=0)

    class Scores(fakes.SeesGpu):
        def score(self, X, y=None):
            if fakes.slot()["share"] < 50e9:
                raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory")
            return self.value

    found = search(Scores(log), [1.0]).fit(*data)
    assert list(found.cv_results_["mean_test_score"]) == [1.0]


@pytest.mark.slow
def test_an_abort_on_a_shared_gpu_is_tried_again_alone(machine, data, log):
    """Libraries abort where they find no memory; that costs a try."""
    machine(1, context=0)
    found = search(fakes.AbortsWhenShared(log), [-1.0, 1.0]).fit(*data)
    assert np.isfinite(found.cv_results_["mean_test_score"]).all()


def test_without_a_gpu_running_out_of_memory_is_a_failure(data, log):
    """There is no larger share to be had."""

    class Raises(fakes.Logged):
        def act(self):
            raise RuntimeError("CUDA out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        search(Raises(log), [1.0], devices=None, error_score="raise").fit(*data)
    assert len(fakes.fits(log)) <= 2


def test_a_full_gpu_does_not_stop_a_search_that_needs_none(machine, data, log):
    """With devices="auto" the workers get on without, with a warning."""
    machine(1, free=10**8)
    with pytest.warns(ResumableSearchWarning, match=r"do not see a GPU.*devices=None"):
        search(fakes.SeesGpu(log), [1.0]).fit(*data)
    assert {note["visible"] for note in fakes.gpu_notes(log)} == {"-1"}
    with pytest.raises(DeviceError, match="Lower 'n_jobs'"):
        search(fakes.SeesGpu(log), [2.0], devices=[0]).fit(*data)


# Succession


def test_a_worker_that_grows_is_replaced(data, log, monkeypatch):
    """Several workers follow each other, every fold runs once."""
    monkeypatch.setattr(_slots, "MOST_GROWTH", 100 * 2**20)
    monkeypatch.setattr(_slots, "LEAST_FOLDS", 2)
    values = list(map(float, range(60)))
    search(fakes.Leaks(log, n_workers=3), values, n_jobs=1).fit(*data)
    assert sorted(fakes.fits(log)) == sorted(values * 2)
    assert len(set(fakes.workers(log))) >= 3


def test_a_worker_goes_on_until_its_successor_is_ready(
    new_interpreters, data, log, monkeypatch
):
    """While the next one starts, folds are still run: nobody waits."""
    monkeypatch.setattr(_slots, "MOST_GROWTH", 30 * 2**20)
    monkeypatch.setattr(_slots, "LEAST_FOLDS", 1)
    values = list(map(float, range(8)))
    search(fakes.Leaks(log, seconds=0.1), values, n_jobs=1).fit(*data)
    # It is worn after two folds, and a start takes longer than a fold.
    assert fakes.workers(log).count(fakes.workers(log)[0]) > 3


@pytest.mark.slow
def test_a_successor_that_does_not_start_is_done_without(data, log, monkeypatch):
    """The worker goes on, however worn."""
    monkeypatch.setattr(_slots, "MOST_GROWTH", 30 * 2**20)
    monkeypatch.setattr(_slots, "LEAST_FOLDS", 1)
    _resting.end_all()
    started = []
    start = _process.start

    def start_once(environment):
        process = start(environment)
        if started:
            os.kill(process.pid, signal.SIGKILL)
        started.append(process)
        return process

    monkeypatch.setattr(_process, "start", start_once)
    values = list(map(float, range(7)))
    search(fakes.Leaks(log, seconds=0.2), values, n_jobs=1).fit(*data)
    assert sorted(fakes.fits(log)) == sorted(values * 2)
    assert len(set(fakes.workers(log))) == 1
    assert len(started) == 4  # three successors were tried


def test_a_fold_in_flight_survives_the_succession(data, log, monkeypatch):
    """Tasks that are queued in the old worker go to the new one."""
    monkeypatch.setattr(_slots, "MOST_GROWTH", 30 * 2**20)
    monkeypatch.setattr(_slots, "LEAST_FOLDS", 1)
    values = list(map(float, range(20)))
    search(fakes.Leaks(log), values, n_jobs=2).fit(*data)
    assert sorted(fakes.fits(log)) == sorted(values * 2)


@pytest.mark.slow
def test_a_successor_may_end_for_want_of_work(new_interpreters, data, log, monkeypatch):
    """A fold that takes longer than workers wait is no reason for anything to fail."""
    monkeypatch.setattr(_slots, "MOST_GROWTH", -1)
    monkeypatch.setattr(_slots, "LEAST_FOLDS", 1)
    text = _process._BOOTSTRAP.replace(
        "main(",
        "import resumable_search._engine.worker as w; w.IDLE_SECONDS = 1; main(",
    )
    monkeypatch.setattr(_process, "_BOOTSTRAP", text)
    search(fakes.Logged(log, seconds=3.0), [1.0, 2.0], n_jobs=1).fit(*data)
    assert sorted(fakes.fits(log)) == [1.0, 1.0, 2.0, 2.0]
