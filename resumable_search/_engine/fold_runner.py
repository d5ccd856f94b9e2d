"""Runs folds, one after the other, each as if it were the first in its process."""

import contextlib
import os
import pickle
import sys
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle

from .. import _folds, _warning_filters
from .._checkpoint.locations import ENVIRONMENT_VARIABLE
from .._folds import RunningFold
from .._frameworks import seeds as _seeds
from .._records import FoldTask, WorkerWarning
from .._sklearn_compat.running import run_fold
from . import epoch_reports as _epoch_reports
from .aftermath import changes_put_back
from .contexts import Context
from .fold_settings import FoldSettings
from .messages import (
    DeviceTrouble,
    EpochEnded,
    Exited,
    FoldAnswer,
    OtherCode,
    Raised,
    Scored,
)
from .pickling import forget_classes, loads
from .shipping import load
from .verification import ImportedFiles, OtherCodeError, Verification

__all__ = ["FoldRunner", "pickled", "surroundings"]

#: Packages whose versions are noted beside a score, if the fold imported them.
_VERSIONED = ("sklearn", "numpy", "scipy", "keras", "tensorflow", "torch", "jax")


class FoldRunner:
    """Runs folds; keeps the data of the search and of the splits it saw last.

    Parameters
    ----------
    settings : FoldSettings
        What each fold begins with in this process.
    offer : callable
        Takes reports of epochs.
    """

    def __init__(
        self, settings: FoldSettings, offer: Callable[[EpochEnded], None]
    ) -> None:
        self._offer = offer
        self._settings = settings
        self._context: Context | None = None
        self._files = ImportedFiles()
        self._verification = Verification(self._files, is_new=True)
        self._has_run = False

    def run(self, task: FoldTask) -> FoldAnswer:
        """Run a fold."""
        caught: list[WorkerWarning] = []
        try:
            watchers = _epoch_reports.watchers(self._offer, task.task_id, task.curves)
            fold = RunningFold(lambda: Path(task.directory), task.save_epochs, watchers)
            with _warnings_into(caught):
                context = self._opened(task.context_path)
                self._settings.begin()
                forget_classes()
                self._verification.begin_fold()
                objects = context.fresh_objects()
                data, split = context.data(), context.split(task.split_path)
                parameters, progress, position, code = _payload(task.payload)
                if code is not None:
                    self._verification.add(code)
                asked = _warning_filters.use(context.warning_filters)
                self._settings.begin()
                _seeds.seed_generators(task.seed)
                self._has_run = True
                with _folds.run(fold), changes_put_back(), self._settings.in_fold():
                    result, failed = run_fold(
                        objects, data, split, parameters, progress, position
                    )
                self._verification.end_fold()
        except OtherCodeError as exc:
            return OtherCode(text=exc.text, is_stale=exc.verdict == "stale")
        except SystemExit as exc:
            return Exited(code=repr(exc.code), text=_text_of(exc))
        except Exception as exc:
            text = _text_of(exc)
            return Raised(
                error=exc,
                text=text,
                warnings=tuple(caught),
                trouble=DeviceTrouble.in_text(text),
            )
        failure = result["fit_error"] or _scoring_error(failed, caught)
        return Scored(
            result=result,
            failure=failure,
            warnings=tuple(caught),
            warned=bool(asked),
            versions=_versions(),
            trouble=DeviceTrouble.in_text(failure),
        )

    def put_back(self) -> None:
        """Put back what the last fold has changed in modules, as far as it can be."""
        with contextlib.suppress(OtherCodeError):
            self._verification.begin_fold()

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
    """Return what a resting worker takes over from its parent for another search."""
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
    """Return the candidate; one with much data in it comes in a file."""
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
    """Return a warning that the parent can read: this one, or one with its text."""
    try:
        pickle.loads(pickled(message))  # noqa: S301 - some can be written and not read
    except Exception:
        for cls in type(message).__mro__[1:]:
            if issubclass(cls, Warning) and cls.__module__ == "builtins":
                return cls(str(message))
    return message


def _scoring_error(failed: list[str], caught: list[WorkerWarning]) -> str | None:
    """Return the text of a scorer's failure; scikit-learn only warns about it."""
    if not failed:
        return None
    texts = [
        str(warning.message)
        for warning in caught
        if str(warning.message).startswith("Scoring failed")
    ]
    return "\n".join(texts) or f"Scoring failed: {', '.join(sorted(set(failed)))}"


def pickled(value: Any) -> bytes:
    """Pickle a value that may be of a class without a name to import."""
    try:
        return pickle.dumps(value, protocol=5)
    except Exception:  # a class of __main__ or of a function
        return bytes(cloudpickle.dumps(value, protocol=5))


def _text_of(exc: BaseException) -> str:
    """Return an exception with its traceback, as Python prints it."""
    return "".join(traceback.format_exception(exc))


def _versions() -> dict[str, str]:
    versions = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in _VERSIONED:
        version = getattr(sys.modules.get(name), "__version__", None)
        if isinstance(version, str):
            versions[name] = version
    return versions
