"""What all tests share: a checkpoint of their own, and no process left behind."""

import os
import signal
import subprocess
import textwrap
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from joblib.externals.loky import get_reusable_executor
from sklearn.datasets import load_iris

from resumable_search._engine import forkserver as _forkserver
from resumable_search._engine import resting as _resting
from tests.fake_mps import fake, place  # noqa: F401 - fixtures
from tests.helpers import interpreters

# A shell starts what it puts into the background with Ctrl-C ignored, and nohup what it
# runs with SIGHUP; that would be handed on to the scripts that tests stop.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def own_directory(tmp_path, monkeypatch):
    """Run each test in a directory of its own, where its checkpoint is made."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RESUMABLE_SEARCH_CHECKPOINT", raising=False)
    # Warnings are errors in the workers too, but for one: tests change something
    # between two fits on purpose.
    monkeypatch.setenv("PYTHONWARNINGS", "error::UserWarning,ignore:Nothing was reused")


@pytest.fixture(autouse=True, scope="module")
def no_process_left_behind():
    """Fail the module after which a worker is still there."""
    yield
    # joblib's own workers, where a nested search may have workers at rest.
    get_reusable_executor().shutdown(wait=True, kill_workers=True)
    _resting.end_all()
    deadline = time.monotonic() + 5
    while (left := _workers()) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left, f"worker processes are left: {left}"


def _workers():
    return [
        child
        for child in psutil.Process().children(recursive=True)
        if _is_worker(child)
    ]


def _is_worker(process):
    try:
        # One that has just started alone has no name yet.
        is_new = "resumable_search._engine.worker" in " ".join(process.cmdline())
        return is_new or process.name() == "search-worker"
    except psutil.Error:
        return False


@pytest.fixture
def new_interpreters(monkeypatch):
    """Have each worker start as a new interpreter, as on systems without a fork."""
    _resting.end_all()
    monkeypatch.setattr(_forkserver, "IS_POSSIBLE", False)
    yield
    _resting.end_all()


@pytest.fixture
def iris():
    """Give X of shape (150, 4) and y of shape (150,), with three classes."""
    return load_iris(return_X_y=True)


@pytest.fixture
def data():
    """Give a small X of shape (12, 2) and y of shape (12,), with two classes."""
    X = np.arange(24, dtype=np.float64).reshape(12, 2)
    return X, np.array([0, 1] * 6)


@pytest.fixture
def log(tmp_path):
    """Give a file in which the fakes note their fits."""
    return str(tmp_path / "fits.log")


@pytest.fixture
def script(tmp_path):
    """Give a function that starts a Python script and gives its process."""
    started = []

    def start(source, *arguments, name="script.py", **options):
        path = tmp_path / name
        path.write_text(textwrap.dedent(source))
        environment = {
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parent.parent),
            **options.pop("env", {}),
        }
        process = interpreters.start(
            [path, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=options.pop("cwd", tmp_path),
            env=environment,
            **options,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def still_running(processes, seconds=2.0):
    """Wait for processes whose parent is gone; give those that run after that time.

    One that has ended stays in the table of processes until process 1 looks after it,
    and how soon it does so is its own affair: in some containers every two seconds.
    """
    deadline = time.monotonic() + seconds
    while (left := list(filter(_runs, processes))) and time.monotonic() < deadline:
        time.sleep(0.02)
    return left


def _runs(process):
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def assert_same_results(ours, theirs):
    """Compare cv_results_ in every key but the times."""
    assert set(ours) == set(theirs)
    for key, expected in theirs.items():
        if "time" not in key:
            if str(getattr(expected, "dtype", "")) == "object":
                # Estimators, or lists of candidates: equal if they read the same.
                assert repr(ours[key]) == repr(expected), key
                continue
            if key == "params":
                assert repr(ours[key]) == repr(expected)
                continue
            np.testing.assert_array_equal(ours[key], expected, err_msg=key)
            if hasattr(expected, "dtype"):
                assert ours[key].dtype == expected.dtype, key
