"""Estimators that count, crash, print, hang. Picklable, and quick to fit."""

import ctypes
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import BaseEstimator, ClassifierMixin

from resumable_search import DeviceError
from resumable_search._gpu.devices import Device, Memory


class Logged(ClassifierMixin, BaseEstimator):
    """Writes a line to a file for each fit; its score depends on `value` alone.

    Parameters
    ----------
    log : str
        The file. One line for each fit that began, by whichever process.
    value : float
        Decides the score.
    seconds : float
        How long a fit takes.
    """

    def __init__(self, log, value=0.0, seconds=0.0):
        self.log = log
        self.value = value
        self.seconds = seconds

    def fit(self, X, y):
        with Path(self.log).open("a") as file:
            file.write(f"{os.getpid()} {self.value}\n")
        self.act()
        time.sleep(self.seconds)
        self.classes_ = np.unique(y)
        self.mean_ = float(np.mean(X))
        return self

    def act(self):
        """Do what the fake is for."""

    def predict(self, X):
        return np.full(len(X), self.classes_[0])

    def score(self, X, y=None):
        return self.value + self.mean_


class Once(Logged):
    """Acts in the first fit of all, and in no later one."""

    def act(self):
        try:
            Path(f"{self.log}.done").touch(exist_ok=False)
        except FileExistsError:
            return
        self.misbehave()


class KilledOnce(Once):
    def misbehave(self):
        os.kill(os.getpid(), signal.SIGKILL)


class Killed(Logged):
    """Dies each time, where its value is negative."""

    def act(self):
        if self.value < 0:
            os.kill(os.getpid(), signal.SIGKILL)


class Segfaults(Killed):
    def act(self):
        if self.value < 0:
            ctypes.string_at(0)


class Exits(Killed):
    def act(self):
        if self.value < 0:
            os._exit(7)


class ExitsCleanly(Killed):
    def act(self):
        if self.value < 0:
            os._exit(0)


class Raises(Logged):
    def act(self):
        if self.value < 0:
            raise RuntimeError(f"no fit with {self.value}")


class RaisesOnce(Once):
    def misbehave(self):
        raise RuntimeError("only this time")


class UnpicklableError(Exception):
    def __init__(self, first, second):
        super().__init__("cannot be read back")


class RaisesUnpicklable(Logged):
    def act(self):
        raise UnpicklableError(1, lambda: 2)


class Prints(Logged):
    def act(self):
        print(f"fitting {self.value}")
        print(f"problem {self.value}", file=sys.stderr)
        os.write(1, b"from below Python\n")


class ForksAndDies(Killed):
    """Leaves a child behind that holds the worker's pipes open."""

    def act(self):
        if self.value < 0:
            if os.fork() == 0:
                time.sleep(60)
                os._exit(0)
            os._exit(3)


class Nested(Logged):
    """Is parallel itself, and notes what limits it found."""

    def act(self):
        found = Parallel(n_jobs=2)(delayed(os.getpid)() for _ in range(4))
        self.n_processes_ = len(set(found))

    def score(self, X, y=None):
        return self.n_processes_


class Environment(Logged):
    """Its score is a variable of its environment."""

    def __init__(self, log, value=0.0, seconds=0.0, variable="OMP_NUM_THREADS"):
        super().__init__(log, value, seconds)
        self.variable = variable

    def score(self, X, y=None):
        return float(os.environ.get(self.variable, "nan"))


class RandomScore(Logged):
    """Never the same score twice: what it once scored must come from somewhere."""

    def score(self, X, y=None):
        return float.fromhex(os.urandom(6).hex())


class SeesGpu(Logged):
    """Writes down what its worker was given; its score is the share in GB."""

    def fit(self, X, y):
        super().fit(X, y)
        cores = sorted(os.sched_getaffinity(0))
        share = slot().get("share", 0)
        line = json.dumps(
            {
                "pid": os.getpid(),
                "value": self.value,
                "visible": os.environ.get("CUDA_VISIBLE_DEVICES"),
                "jax": os.environ.get("XLA_CLIENT_MEM_FRACTION"),
                "threads": os.environ.get("OMP_NUM_THREADS"),
                "share": share,
                "cores": cores,
            }
        )
        with Path(f"{self.log}.gpu").open("a") as file:
            file.write(line + "\n")
        return self


class NeedsMemory(SeesGpu):
    """Runs out of memory where its share is less than `value` GB."""

    def __init__(
        self, log, value=0.0, seconds=0.0, message="CUDA out of memory. Tried"
    ):
        super().__init__(log, value, seconds)
        self.message = message

    def fit(self, X, y):
        super().fit(X, y)
        if slot()["share"] < self.value * 1e9:
            raise RuntimeError(self.message)
        return self


class AbortsWhenShared(SeesGpu):
    """Aborts, as a library does that finds no memory, where it has not 50 GB."""

    def fit(self, X, y):
        super().fit(X, y)
        if self.value < 0 and slot()["share"] < 50e9:
            os.abort()
        return self


class Leaks(Logged):
    """Has a library keep 60 MB for each fit, as TensorFlow does.

    With `n_workers` it does so until as many processes have begun a fit, and takes
    0.4 seconds for each.
    """

    def __init__(self, log=None, value=0.0, seconds=0.0, n_workers=0):
        super().__init__(log, value, seconds)
        self.n_workers = n_workers

    def act(self):
        if self.n_workers:
            if len(set(workers(self.log))) >= self.n_workers:
                return
            time.sleep(0.4)
        kept = vars(threading.main_thread()).setdefault("kept", [])
        kept.append(np.ones(7_500_000))


class FakeDevices:
    """A machine with GPUs, as the driver would describe it.

    Parameters
    ----------
    n_gpus : int
        Number of GPUs, of 80 GB each.
    n_instances : int
        Number of MIG instances of the first; 0: it is not in MIG mode.
    free : int
        Bytes that are free on each device.
    context : int
        Bytes that a context takes.
    """

    def __init__(self, n_gpus=1, n_instances=0, free=80 * 10**9, context=10**9):
        self.free = free
        self.context = context
        self._gpus = []
        for number in range(n_gpus):
            gpu = f"GPU-{number}{number}aa-fake"
            parts = [Device(uuid=gpu, name="Fake 80GB", gpu=gpu)]
            if number == 0 and n_instances:
                parts = [
                    Device(
                        uuid=f"MIG-{i}{i}bb-fake",
                        name="Fake 1g.10gb",
                        gpu=gpu,
                        aliases=(f"MIG-{gpu}/{i + 7}/0",),
                    )
                    for i in range(n_instances)
                ]
            self._gpus.append(parts)

    def gpus(self):
        return self._gpus

    def memory(self, device):
        return Memory(total=80 * 10**9, free=self.free)

    def context_bytes(self, device):
        return self.context


class NoDevices(FakeDevices):
    """A machine without a driver."""

    def gpus(self):
        raise DeviceError("No NVIDIA GPU can be used: there is no driver.")


def slot():
    """Give what this worker was told about its slot."""
    return json.loads(os.environ.get("_RESUMABLE_SEARCH_SLOT", "{}"))


def gpu_notes(log):
    """Give what `SeesGpu` wrote down, one dict for each fit."""
    return [json.loads(line) for line in Path(f"{log}.gpu").read_text().splitlines()]


def fits(log):
    """Give the values of the fits that began, in order."""
    return [float(value) for _, value in _lines(log)]


def workers(log):
    """Give the ids of the processes in which the fits began, in order."""
    return [int(pid) for pid, _ in _lines(log)]


def _lines(log):
    try:
        return [line.split() for line in Path(log).read_text().splitlines()]
    except FileNotFoundError:
        return []
