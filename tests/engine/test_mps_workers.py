"""Workers under MPS: real workers, a fake machine with a GPU and a fake daemon."""

import contextlib
import dataclasses
import os
import socket
import warnings
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from sklearn.exceptions import FitFailedWarning

from resumable_search import ResumableGridSearchCV, ResumableSearchWarning
from resumable_search._engine.occupants import Occupant
from resumable_search._engine.slots import Slot
from resumable_search._gpu import placement as _placement
from resumable_search._gpu.mps import MAX_CLIENTS
from tests import fakes
from tests.fake_mps import mps_processes


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """Make this a machine with a GPU of 80 GB."""
    monkeypatch.setattr(_placement, "layer", fakes.FakeDevices(1, context=0))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.fixture
def uses_gpu(monkeypatch):
    """Have workers say that they hold a GPU, as none can here."""
    for owner, name in ((Slot, "note_status"), (Occupant, "check_attached")):
        method = getattr(owner, name)

        def told(self, status, method=method):
            method(self, dataclasses.replace(status, holds_gpu=True))

        monkeypatch.setattr(owner, name, told)


class Client(fakes.SeesGpu):
    """Connects to the daemon that it was told of, and notes which that is."""

    def fit(self, X, y):
        pipe = os.environ.get("CUDA_MPS_PIPE_DIRECTORY")
        with Path(f"{self.log}.mps").open("a") as file:
            file.write(
                f"{os.environ.get('CUDA_MPS_ACTIVE_THREAD_PERCENTAGE')} "
                f"{os.environ.get('CUDA_MPS_PINNED_DEVICE_MEM_LIMIT')} "
                f"{self.value} {pipe is not None}\n"
            )
        if pipe is not None:
            self.connect(pipe)
        return super().fit(X, y)

    def connect(self, pipe):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(f"{pipe}/control")
            connection.sendall(f"connect {os.getpid()}".encode())
            connection.recv(100)


class Aloof(Client):
    def connect(self, pipe):
        """Do not, as CUDA does that does not find the daemon."""


class Faults(Client):
    """Takes all clients down where its value is negative; fails alone as well."""

    poisoned: ClassVar[list] = []

    def fit(self, X, y):
        super().fit(X, y)
        if self.value < 0 or self.poisoned:
            self.poisoned.append(self.value)  # a context is of no use after a fault
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        if self.value == 2 and "CUDA_MPS_PIPE_DIRECTORY" in os.environ:
            raise RuntimeError("CUDA_ERROR_MPS_CLIENT_TERMINATED")
        return self


def search(estimator, values, **parameters):
    parameters = {"cv": 2, "refit": False, "n_jobs": 2, "mps": "on", **parameters}
    return ResumableGridSearchCV(estimator, {"value": values}, **parameters)


def notes(log):
    with Path(f"{log}.mps").open() as file:
        return [line.split() for line in file]


def test_workers_are_clients_of_a_daemon_of_the_search(
    fake, place, uses_gpu, data, log
):
    """They get their part of the processors and the memory; it ends with the search."""
    search(Client(log), [1.0, 3.0]).fit(*data)
    assert {tuple(note[:2]) for note in notes(log)} == {("100", "0=34332M")}
    assert mps_processes(place) == []


def test_a_worker_that_is_not_attached_is_noticed(fake, place, uses_gpu, data, log):
    """CUDA runs on without a word; the search does not."""
    with pytest.warns(ResumableSearchWarning, match="uses the GPU without MPS"):
        search(Aloof(log), [1.0], n_jobs=2).fit(*data)


def test_without_the_program_on_warns_and_goes_on(data, log, monkeypatch):
    """The workers share the GPU by time slices."""
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.warns(ResumableSearchWarning, match=r"time slices.*no program"):
        found = search(Client(log), [1.0]).fit(*data)
    assert np.isfinite(found.cv_results_["mean_test_score"]).all()
    assert {note[3] for note in notes(log)} == {"False"}


def test_without_the_program_auto_is_silent(data, log, monkeypatch):
    """Who leaves the choice to the search is not told."""
    monkeypatch.setattr("shutil.which", lambda name: None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = search(Client(log), [1.0], mps="auto").fit(*data)
    assert found.resumption.n_failed == 0
    assert {note[3] for note in notes(log)} == {"False"}


def test_more_workers_than_mps_takes(fake, data, log, monkeypatch):
    """They share by time slices; the warning says how many MPS takes."""
    plans = _placement.place("auto", MAX_CLIENTS + 1, 0.9)
    with pytest.warns(ResumableSearchWarning, match=f"takes {MAX_CLIENTS} processes"):
        assert _placement.start_daemons("on", plans) == {}


def test_one_worker_needs_no_daemon(fake, place, data, log):
    """There is nobody to share the GPU with."""
    search(Client(log), [1.0], n_jobs=1).fit(*data)
    assert {note[3] for note in notes(log)} == {"False"}


@pytest.mark.slow
def test_a_shared_fault_costs_nobody_a_try(fake, place, data, log):
    """All folds that were running are tried again alone; who caused it fails alone."""
    with (
        pytest.warns(FitFailedWarning, match="illegal memory access"),
        pytest.warns(UserWarning, match="non-finite"),
    ):
        found = search(Faults(log, seconds=0.2), [-1.0, 2.0, 3.0], max_retries=0).fit(
            *data
        )
    scores = found.cv_results_["mean_test_score"]
    assert np.isnan(scores[0])
    assert np.isfinite(scores[1:]).all()
    assert found.resumption.n_failed == 2
    assert mps_processes(place) == []


def test_the_daemon_ends_when_the_search_is_interrupted(fake, place, data, log):
    """Nothing holds the GPU after a Ctrl-C."""

    class Interrupts(Client):
        def fit(self, X, y):
            super().fit(X, y)
            raise KeyboardInterrupt

    with contextlib.suppress(BaseException):
        search(Interrupts(log), [1.0], error_score="raise", max_retries=0).fit(*data)
    assert mps_processes(place) == []
