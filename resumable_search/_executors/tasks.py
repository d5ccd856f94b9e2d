"""Folds made into tasks for workers, and the files that these need."""

from pathlib import Path
from typing import Any

from .. import _warning_filters
from .._engine.fold_runner import surroundings
from .._engine.pickling import dumps
from .._engine.shipping import Workspace
from .._engine.verification import ExpectedCode, expect
from .._keys.encoding import ATOMS
from .._records import FoldTask
from .._settings import shipped
from .._sklearn_compat.callbacks import task_position
from .._sklearn_compat.calls import FoldCall
from .._sklearn_compat.estimators import scorers_by_name
from .._sklearn_compat.running import shared_objects

__all__ = ["TaskMaker"]

# Bytes of a candidate that go through the pipe; more goes through a file, so that
# queued tasks always fit into the pipe and sending never waits.
_MOST_IN_PIPE = 4096


class TaskMaker:
    """Makes the tasks of one search.

    What all folds share, and each split, is written to a file once.

    Parameters
    ----------
    save_epochs : int or None
        Number of epochs after which a Keras fit saves its state.
    """

    def __init__(self, save_epochs: int | None) -> None:
        self._save_epochs = save_epochs
        self._workspace: Workspace | None = None
        self._context_path = ""
        self._code: ExpectedCode | None = None
        # The folds of a candidate come one after the other.
        self._candidate: tuple[Any, ExpectedCode | None] = (None, None)
        self._split_paths: dict[str, str] = {}

    def task(
        self,
        task_id: int,
        call: FoldCall,
        split_key: str,
        directory: Path,
        curves: Path | None,
        seed: int,
    ) -> FoldTask:
        """Make the task of a fold.

        Parameters
        ----------
        task_id : int
            Number of the task.
        call : FoldCall
            The fold.
        split_key : str
            Key of its train and test indices.
        directory : Path
            Where it may keep files until it is done.
        curves : Path or None
            Directory for TensorBoard's files.
        seed : int
            Of the global random generators.
        """
        workspace = self._ready_workspace(call)
        split_path = self._split_paths.get(split_key)
        if split_path is None:
            split_path = workspace.put((call.train, call.test))
            self._split_paths[split_key] = split_path
        progress = (call.split, call.n_splits, call.candidate, call.n_candidates)
        code = self._code_of_candidate(call.parameters, workspace)
        content = call.parameters, progress, task_position(call), code
        payload = dumps(content)
        return FoldTask(
            task_id=task_id,
            context_path=self._context_path,
            split_path=split_path,
            payload=payload
            if len(payload) <= _MOST_IN_PIPE
            else workspace.put(content),
            directory=str(directory),
            save_epochs=self._save_epochs,
            candidate=call.candidate,
            curves=None if curves is None else str(curves),
            seed=seed,
        )

    def _code_of_candidate(
        self, parameters: dict[str, Any], workspace: Workspace
    ) -> ExpectedCode | None:
        """Return what only one candidate runs, if there is something."""
        if self._candidate[0] is not parameters:
            if all(id(type(value)) in ATOMS for value in parameters.values()):
                self._candidate = (parameters, None)  # no code is in these
                return None
            code = expect((parameters,), (), workspace, self._code)
            self._candidate = (parameters, code if any(code.trace) else None)
        return self._candidate[1]

    def close(self) -> None:
        """Remove the files."""
        if self._workspace is not None:
            self._workspace.close()
            self._workspace = None

    def _ready_workspace(self, call: FoldCall) -> Workspace:
        if self._workspace is None:
            self._workspace = Workspace()
            self._code = _code_of_all(call, self._workspace)
            self._context_path = self._workspace.put(
                {
                    "data": self._workspace.put((call.X, call.y)),
                    "objects": self._workspace.put(shared_objects(call)),
                    "code": self._code,
                    "warning_filters": _warning_filters.current(),
                    "settings": shipped(),
                    "surroundings": surroundings(),
                }
            )
        return self._workspace


def _code_of_all(call: FoldCall, workspace: Workspace) -> ExpectedCode:
    """Return what all folds run."""
    parameters = [call.shared.get(name) for name in ("fit_params", "score_params")]
    scorers, _ = scorers_by_name(call.shared["scorer"])
    return expect((call.estimator,), (*parameters, *scorers.values()), workspace)
