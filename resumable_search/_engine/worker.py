"""The child process: one fold in, one result out.

::

    parent                                  child
      |  ("fold", id, context, split, bytes)   reader thread -> inbox
      |------------------------------------->        |
      |  ("recall",)                                 v
      |------------------------------------->  main thread: run the fold
      |  ("event", id, {"epoch": ..., ...})          |
      |<---------------------------------------------+
      |  ("done" | "error" | ..., id, bytes, status) |
      |<---------------------------------------------+

The reader thread takes tasks off the pipe while a fold runs, so the parent never
waits to send, and gives back what has not begun when the parent asks. When the
parent is gone the pipe ends and the thread ends the process; on Linux the kernel
does that too, for a fold that never lets another thread run.

What the estimator prints goes to the process's standard output and error, which
are pipes to the parent.
"""

import collections
import contextlib
import os
import pickle
import select
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import cloudpickle
from joblib import parallel_config
from joblib.parallel import ThreadingBackend

from .. import _folds, _warning_filters
from .._checkpoint.locations import ENVIRONMENT_VARIABLE
from .._folds import RunningFold
from .._frameworks import hooks as _frameworks
from .._frameworks import seeds as _seeds
from .._gpu.devices import holds_gpu
from .._records import WorkerWarning
from .._sklearn_compat.running import run_fold
from . import epoch_reports as _epoch_reports
from .aftermath import undone
from .contexts import Context
from .fold_settings import FoldSettings
from .frames import write_frame
from .lifeline import set_name
from .pickling import forget_classes, loads
from .shipping import load
from .verification import ImportedFiles, OtherCodeError, Verification

#: Seconds without a task after which a worker ends, as joblib's workers do.
IDLE_SECONDS = 300.0

#: Packages whose versions are noted beside a score, if the fold imported them.
_VERSIONED = ("sklearn", "numpy", "scipy", "keras", "tensorflow", "torch", "jax")


class _Inbox:
    """Tasks that have come and not begun. Filled by one thread, emptied by another."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._tasks: collections.deque[tuple[Any, ...]] = collections.deque()
        self._changed = threading.Condition()
        self._send_lock = threading.Lock()
        self._closed = False

    def send(self, *message: Any) -> None:
        with self._send_lock:
            write_frame(self._connection.fileno(), pickle.dumps(message, protocol=5))

    def offer(self, *message: Any) -> None:
        """Send what may be lost, unless the parent is behind with reading."""
        poll = select.poll()
        poll.register(self._connection.fileno(), select.POLLOUT)
        if poll.poll(0):
            self.send(*message)

    def read_forever(self) -> None:
        """Move tasks from the pipe to the inbox, until the parent is gone."""
        while True:
            try:
                message = pickle.loads(self._connection.recv_bytes())  # noqa: S301
            except (EOFError, OSError):
                # The parent closed the pipe or died. Nobody waits for the fold.
                os._exit(0)
            with self._changed:
                if message[0] == "recall":
                    recalled = [task[1] for task in self._tasks]
                    self._tasks.clear()
                    self.send("recalled", recalled)
                else:
                    self._tasks.append(message)
                    self._changed.notify()

    def next(self, timeout: float) -> tuple[Any, ...] | None:
        """Give the next task, or None after `timeout` seconds without one."""
        with self._changed:
            # A task that came may have been recalled again before this wakes up.
            self._changed.wait_for(lambda: self._tasks, timeout)
            return self._tasks.popleft() if self._tasks else None


class _FoldRunner:
    """Runs folds; keeps the data of the search and of the splits it saw last."""

    def __init__(self, offer: Callable[..., None]) -> None:
        self._offer = offer
        self._settings = FoldSettings()
        self._settings.follow()
        self._context: Context | None = None
        self._files = ImportedFiles()
        self._verification = Verification(self._files, is_new=True)
        self._has_run = False

    def run(self, task: tuple[Any, ...]) -> tuple[str, bytes]:
        """Run a task; give the kind of the answer and its pickled content."""
        _, task_id, context_path, split_path, payload, directory = task[:6]
        save_epochs, curves, seed = task[6:]
        caught: list[WorkerWarning] = []
        try:
            watchers = _epoch_reports.watchers(self._offer, task_id, curves)
            fold = RunningFold(lambda: Path(directory), save_epochs, watchers)
            with _warnings_into(caught):
                context = self._opened(context_path)
                self._settings.begin()
                forget_classes()
                self._verification.begin_fold()
                objects = context.fresh_objects()
                data, split = context.data(), context.split(split_path)
                parameters, progress, position, code = _payload(payload)
                if code is not None:
                    self._verification.add(code)
                asked = _warning_filters.use(context.warning_filters)
                self._settings.begin()
                _seeds.seed_generators(seed)
                self._has_run = True
                with _folds.run(fold), undone(), self._settings.in_fold():
                    result, failed = run_fold(
                        objects, data, split, parameters, progress, position
                    )
                self._verification.end_fold()
        except OtherCodeError as exc:
            return exc.verdict, _pickled(exc.text)
        except SystemExit as exc:
            return "exited", _pickled((repr(exc.code), _text_of(exc)))
        except Exception as exc:
            return "error", _pickled_error(exc, tuple(caught))
        failure = result["fit_error"] or _scoring_error(failed, caught)
        return "done", _pickled(
            (result, failure, tuple(caught), bool(asked), _versions())
        )

    def _opened(self, path: str) -> Context:
        if self._context is None or self._context.path != path:
            # The data of the last search goes before that of the next one comes.
            self._context = None
            context = Context(path)
            _take_over(context.surroundings)
            self._settings.open(context.settings)
            is_new = not self._has_run
            self._verification = Verification(self._files, is_new=is_new)
            self._verification.add(context.code)
            self._context = context
        return self._context


def surroundings() -> dict[str, Any]:
    """Give what a resting worker takes over from its parent for another search."""
    try:
        directory = os.getcwd()  # noqa: PTH109 - a string to send
    except FileNotFoundError:
        directory = None
    return {
        "directory": directory,
        "checkpoint": os.environ.get(ENVIRONMENT_VARIABLE),
    }


def _take_over(surroundings: dict[str, Any]) -> None:
    if surroundings["directory"] is not None:
        os.chdir(surroundings["directory"])
    # For searches within the search.
    if surroundings["checkpoint"] is None:
        os.environ.pop(ENVIRONMENT_VARIABLE, None)
    else:
        os.environ[ENVIRONMENT_VARIABLE] = surroundings["checkpoint"]


def _payload(payload: bytes | str) -> Any:
    """Give the candidate; one with much data in it comes in a file."""
    if isinstance(payload, str):
        return load(payload)
    return loads(payload)


@contextlib.contextmanager
def _warnings_into(caught: list[WorkerWarning]) -> Any:
    """Collect warnings, for the parent to raise again where they can be seen."""

    def note(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: object = None,  # noqa: ARG001 - the signature of showwarning
        line: str | None = None,  # noqa: ARG001
    ) -> None:
        if not isinstance(message, Warning):
            message = category(message)
        message = _portable_warning(message)
        caught.append(WorkerWarning(message=message, filename=filename, lineno=lineno))

    with warnings.catch_warnings():
        warnings.showwarning = note
        yield


def _portable_warning(message: Warning) -> Warning:
    """Give a warning that the parent can read: this one, or one with its text."""
    try:
        pickle.loads(_pickled(message))  # noqa: S301 - some can be written and not read
    except Exception:
        for cls in type(message).__mro__[1:]:
            if issubclass(cls, Warning) and cls.__module__ == "builtins":
                return cls(str(message))
    return message


def _scoring_error(failed: list[str], caught: list[WorkerWarning]) -> str | None:
    """Give the text of a scorer's failure; scikit-learn only warns about it."""
    if not failed:
        return None
    texts = [
        str(warning.message)
        for warning in caught
        if str(warning.message).startswith("Scoring failed")
    ]
    return "\n".join(texts) or f"Scoring failed: {', '.join(sorted(set(failed)))}"


def _pickled(value: Any) -> bytes:
    try:
        return pickle.dumps(value, protocol=5)
    except Exception:  # a class of __main__ or of a function
        return bytes(cloudpickle.dumps(value, protocol=5))


def _pickled_error(exc: Exception, caught: tuple[WorkerWarning, ...]) -> bytes:
    text = _text_of(exc)
    description = f"{type(exc).__module__}.{type(exc).__qualname__}: {exc}"
    try:
        pickled = bytes(cloudpickle.dumps(exc, protocol=5))
        pickle.loads(pickled)  # noqa: S301 - some can be written and not read
    except Exception:
        pickled = b""
    return _pickled((pickled, description, text, caught))


def _text_of(exc: BaseException) -> str:
    return "".join(traceback.format_exception(exc))


def _versions() -> dict[str, str]:
    versions = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in _VERSIONED:
        version = getattr(sys.modules.get(name), "__version__", None)
        if isinstance(version, str):
            versions[name] = version
    return versions


def main(connection_fd: int) -> None:
    """Run folds until the parent closes the pipe, or for want of work."""
    set_name("search-worker")
    inbox = _Inbox(Connection(connection_fd))
    # Before the estimator's code runs, and not line by line: pipes are not
    # terminals, and a flush follows each fold.
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    threading.Thread(target=inbox.read_forever, daemon=True, name="reader").start()
    del sys.argv[1:]
    _frameworks.follow()
    _seeds.follow()
    runner = _FoldRunner(inbox.offer)
    inbox.send("hello")
    pid = os.getpid()
    # Parallel estimators get threads in here, as they do in joblib's own workers.
    with parallel_config(backend=ThreadingBackend(nesting_level=1), n_jobs=None):
        while (task := inbox.next(IDLE_SECONDS)) is not None:
            if task[0] == "warm":
                _frameworks.warm(task[1])
                inbox.send("warm")
                continue
            started = time.time()
            kind, content = runner.run(task)
            if os.getpid() != pid:
                os._exit(1)  # a child that the fold forked, and that should have ended
            _flush_output()
            inbox.send(kind, task[1], content, _status(started))
            if kind == "stale":
                break
            _frameworks.clear()
    inbox.send("bye")


def _status(started: float) -> dict[str, Any]:
    """Tell what the parent needs to know of this process after each fold."""
    frameworks = _frameworks.imported()
    return {
        "started": started,
        "holds_gpu": holds_gpu(),
        "frameworks": frameworks,
        "private_bytes": _frameworks.private_bytes(),
    }


def _flush_output() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # the estimator may have closed it
            stream.flush()
