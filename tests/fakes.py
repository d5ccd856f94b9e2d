"""Estimators that count, crash, print, hang. Picklable, and quick to fit."""

import ctypes
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import BaseEstimator, ClassifierMixin


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
