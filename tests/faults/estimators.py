"""Estimators that do to their worker what an estimator can do. Quick to fit."""

import contextlib
import ctypes
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np

from tests.fakes import Logged, Once


class Faulty(Once):
    """Does something bad at one point of its first fold, and never again.

    Parameters
    ----------
    where : {"fit", "score"}
        When it happens.
    what : str
        Name of the function among `FAULTS` that does it.
    """

    def __init__(self, log, value=0.0, seconds=0.0, where="fit", what="kill"):
        super().__init__(log, value, seconds)
        self.where = where
        self.what = what

    def fit(self, X, y):
        self._at = "fit"
        super().fit(X, y)
        self._at = "score"
        return self

    def act(self):
        if self._at == self.where:
            super().act()

    def score(self, X, y=None):
        self.act()
        return super().score(X, y)

    def misbehave(self):
        FAULTS[self.what]()


class FaultyToLoad(Logged):
    """Kills the first worker that unpickles it."""

    def __setstate__(self, state):
        super().__setstate__(state)
        if Path("/proc/self/comm").read_text() == "search-worker\n":
            with contextlib.suppress(FileExistsError):
                Path(f"{self.log}.done").touch(exist_ok=False)
                kill()


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def segfault():
    ctypes.string_at(0)


def abort():
    os.abort()


def leave():
    os._exit(3)


def leave_as_if_all_was_well():
    os._exit(0)


def use_up_the_address_space():
    """Hit a limit as a container's: C code that gets no memory aborts."""
    resource.setrlimit(resource.RLIMIT_AS, (2**20, resource.RLIM_INFINITY))
    os.abort() if ctypes.CDLL(None).malloc(2**30) in (0, None) else None


def use_up_the_cgroup():
    """Be killed by the kernel for want of memory, in a group of 64 MB."""
    group = memory_group()
    (group / "cgroup.procs").write_text(str(os.getpid()))
    kept = [np.ones(2**20) for _ in range(64)]  # of 8 MB each
    raise AssertionError(f"the kernel has not killed this process with {len(kept)}")


def memory_group():
    """Make a control group with 64 MB of memory; None where that is not possible."""
    for root, limit in (
        ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
        ("/sys/fs/cgroup", "memory.max"),
    ):
        group = Path(root) / "resumable_search_test"
        try:
            group.mkdir(exist_ok=True)
            (group / limit).write_text(str(64 * 2**20))
        except OSError:
            continue
        return group
    return None


def exit_by_exception():
    sys.exit("cannot go on")


class OwnEnd(BaseException):
    """Nothing that scikit-learn catches."""


def raise_own_end():
    raise OwnEnd


def interrupt_itself():
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(5)


def hang():
    time.sleep(600)


def hang_in_c():
    """Hang without ever letting another thread of the worker run."""
    ctypes.PyDLL(None).sleep(600)


def stop_itself():
    os.kill(os.getpid(), signal.SIGSTOP)


def fork_and_die_in_the_middle_of_a_message():
    """Leave a child that holds the pipe open, and half a message in it."""
    (pipe,) = (
        int(fd.name)
        for fd in Path("/proc/self/fd").iterdir()
        if os.path.realpath(fd).rpartition("/")[2].startswith("socket:")
    )
    if os.fork() == 0:
        time.sleep(30)
        os._exit(0)
    os.write(pipe, (1000).to_bytes(8, "little") + b"half")
    kill()


#: Name -> function. A key follows what it holds, and cannot follow globals().
FAULTS = {
    function.__name__: function
    for function in (
        kill,
        segfault,
        abort,
        leave,
        leave_as_if_all_was_well,
        use_up_the_address_space,
        use_up_the_cgroup,
        exit_by_exception,
        raise_own_end,
        interrupt_itself,
        hang,
        hang_in_c,
        stop_itself,
        fork_and_die_in_the_middle_of_a_message,
    )
}


class ForksOnce(Once):
    """Forks, and its child goes on as the worker would."""

    def misbehave(self):
        if os.fork() == 0:
            raise RuntimeError("the child does not end")


class Messy(Logged):
    """Leaves a mess behind in each fold, and still has the right score."""

    def act(self):
        for mess in (
            leave_a_thread,
            leave_a_process,
            change_the_directory,
            change_the_environment,
            change_signal_handlers,
            import_something,
        ):
            mess()

    def score(self, X, y=None):
        return super().score(X, y)


def leave_a_thread():
    threading.Thread(target=time.sleep, args=(300,)).start()


def leave_a_process():
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])


def change_the_directory():
    os.chdir("/")


def change_the_environment():
    os.environ["LEFT_BEHIND"] = "1"
    os.environ.pop("HOME", None)


def change_signal_handlers():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    signal.setitimer(signal.ITIMER_VIRTUAL, 0.2)


def import_something():
    import wave

    os.environ["LEFT_BEHIND_BY_AN_IMPORT"] = wave.__name__


class SeesTheMess(Messy):
    """Its score says what it found of what the fold before it has changed."""

    def fit(self, X, y):
        time.sleep(0.3)  # an alarm that was left would go off
        self.found_ = {
            "directory": Path.cwd() == Path("/"),
            "environment": any(name.startswith("LEFT_BEHIND") for name in os.environ)
            or "HOME" not in os.environ,
            "handlers": signal.getsignal(signal.SIGUSR1) != signal.SIG_DFL,
        }
        return super().fit(X, y)

    def score(self, X, y=None):
        return float(sum(self.found_.values()))


class PrintsMuch(Logged):
    """Prints 100 MB, without an end of line."""

    def act(self):
        if self.value == 1.0:
            for _ in range(100):
                sys.stdout.write("x" * 2**20)


class ScoresOnce(Once):
    """Has a score of a wrong type in its first fold, and no such in later ones."""

    def __init__(self, log, value=0.0, seconds=0.0, wrong="text"):
        super().__init__(log, value, seconds)
        self.wrong = wrong

    def act(self):
        self.is_wrong_ = False
        super().act()

    def misbehave(self):
        self.is_wrong_ = True

    def score(self, X, y=None):
        if self.is_wrong_:
            return {
                "text": "high",
                "complex": 1j,
                "nothing": None,
                "list": [0.5],
                "nan": float("nan"),
                "object": object(),
            }[self.wrong]
        return super().score(X, y)
