"""A skorch fit inside a fold goes on from the epoch after which it was saved.

`install` wraps ``NeuralNet.fit_loop``, through which every fit of a skorch net goes.
While a fold with ``save_epochs`` runs, a callback in the last place saves what skorch's
own ``save_params`` gives (parameters, optimizer, criterion, history), what changed in
the other callbacks, and the random states, all in one file. The next try of the
fold loads that by ``load_params`` and runs the epochs that are left.

Private names of skorch (checked with 1.4): ``NeuralNet._modules``, ``_criteria`` and
``_optimizers``, the names of what a net consists of, for nets that have more than
one of each.
"""

import functools
import io
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .. import _folds
from .._exceptions import EpochStateWarning
from .._folds import RunningFold
from .._keys.fingerprint import digest, fingerprint
from . import callback_states as _callback_states
from . import keras_states as _keras_states
from . import state_files as _state_files
from .state_files import StateFileError

__all__ = ["install"]

#: Marks the function that is ours.
_MARK = "_resumable_search"


def install(skorch: Any) -> None:
    """Make every fit of a skorch net in this process resumable inside folds."""
    original = skorch.NeuralNet.fit_loop
    if hasattr(original, _MARK):
        return

    @functools.wraps(original)
    def fit_loop(
        self: Any, X: Any, y: Any = None, epochs: int | None = None, **options: Any
    ) -> Any:
        fold = _folds.current()
        if fold is None or fold.save_epochs is None:
            return original(self, X, y, epochs, **options)
        wanted = self.max_epochs if epochs is None else epochs
        state = _FitState(skorch, fold, self, X, y, wanted)
        return state.run(lambda left: original(self, X, y, left, **options))

    setattr(fit_loop, _MARK, True)
    skorch.NeuralNet.fit_loop = fit_loop


class _FitState:
    """One fit of a net: finds its state, takes it over, saves it."""

    def __init__(
        self, skorch: Any, fold: RunningFold, net: Any, X: Any, y: Any, epochs: int
    ) -> None:
        key = digest(type(net).__qualname__, _key(X), _key(y), str(epochs))
        self._fold = fold
        self._name = f"{digest(key, str(fold.count(key)))}.skorch"
        self._every = fold.save_epochs or 1
        self._net = net
        self._epochs = epochs
        self._n_before = len(net.history)
        self._siblings = [callback for _, callback in net.callbacks_]
        self._before = [
            _callback_states.digests(callback, {}, ()) for callback in self._siblings
        ]
        self._random: dict[str, Any] | None = None
        self._warned = False
        base = skorch.callbacks.Callback
        # Before the others draw, and after they have seen the epoch.
        first = type("FirstCallback", (base,), {"on_epoch_begin": self._begin_epoch})
        last = type("SaveEpochs", (base,), {"on_epoch_end": self._end_epoch})
        self._first, self._last = ("first", first()), ("save_epochs", last())

    @property
    def _path(self) -> Path:
        return self._fold.directory / self._name

    def run(self, original: Callable[[int], Any]) -> Any:
        """Run the epochs that are left."""
        n_done = self._restore()
        callbacks = self._net.callbacks_
        callbacks.insert(0, self._first)
        callbacks.append(self._last)
        try:
            return original(max(0, self._epochs - n_done))
        finally:
            callbacks.remove(self._first)
            callbacks.remove(self._last)
            if self._random is not None:  # no epoch was left
                _keras_states.set_random_state(self._random)

    # Saving. skorch calls these as functions of the class: without the callback.

    def _begin_epoch(self, *_: Any, **__: Any) -> None:
        # Not earlier: the net has drawn its validation data since.
        if self._random is not None:
            _keras_states.set_random_state(self._random)
            self._random = None

    def _end_epoch(self, *_: Any, **__: Any) -> None:
        n_done = len(self._net.history) - self._n_before
        if n_done % self._every and n_done < self._epochs:
            return
        try:
            _state_files.write(self._path, self._state(n_done), {})
        except Exception as exc:  # a fit without a saved state is still a fit
            if not self._warned:
                self._warned = True
                warnings.warn(
                    f"The state of a skorch fit could not be saved after epoch {n_done}"
                    f" ({type(exc).__name__}: {exc}). The training goes on; if the "
                    "process is killed, it goes on from an earlier epoch, or from the "
                    "first. Check that the disk has space and can be written to.",
                    EpochStateWarning,
                    stacklevel=2,
                )

    def _parts(self) -> list[str]:
        """Name the parts of the net as save_params and load_params do."""
        net = self._net
        names = [*net._modules, *net._criteria, *net._optimizers]
        return [f"f_{'params' if name == 'module' else name}" for name in names]

    def _state(self, n_done: int) -> dict[str, Any]:
        files = {name: io.BytesIO() for name in self._parts()}
        history = _Text()
        self._net.save_params(**files, f_history=history)
        return {
            "epoch": n_done,
            "files": {
                name: np.frombuffer(file.getvalue(), np.uint8)
                for name, file in files.items()
            },
            "history": history.getvalue(),
            "callbacks": [
                _callback_states.changes(callback, before, {}, ())
                for callback, before in zip(self._siblings, self._before, strict=True)
            ],
            "schedulers": [_scheduler_state(callback) for callback in self._siblings],
            "weights": [_weights(callback) for callback in self._siblings],
            "random": _keras_states.random_state(),
        }

    # Restoring

    def _restore(self) -> int:
        """Take over the state of an earlier try; give its number of epochs."""
        try:
            state = _state_files.read(self._path, {})
            self._check(state)
        except FileNotFoundError:
            return 0
        except (StateFileError, OSError) as exc:
            warnings.warn(
                "The fold starts this skorch fit again from its first epoch, because "
                f"the file of its saved state cannot be used: {exc}. Got "
                f"{self._name}. The scores are not affected. If this happens again, "
                "check the disk.",
                EpochStateWarning,
                stacklevel=2,
            )
            return 0
        self._net.load_params(
            **{k: io.BytesIO(v.tobytes()) for k, v in state["files"].items()},
            f_history=io.StringIO(state["history"]),
        )
        for callback, values in zip(self._siblings, state["callbacks"], strict=True):
            _callback_states.set_attributes(callback, values)
        for callback, values in zip(self._siblings, state["schedulers"], strict=True):
            _set_scheduler_state(callback, values)
        for callback, values in zip(self._siblings, state["weights"], strict=True):
            _set_weights(callback, values)
        self._random = state["random"]
        return int(state["epoch"])

    def _check(self, state: Any) -> None:
        try:
            if set(state["files"]) != set(self._parts()):
                raise StateFileError("it was written by a net with other parts")
            parts = (state[part] for part in ("callbacks", "schedulers", "weights"))
            if {len(part) for part in parts} != {len(self._siblings)}:
                raise StateFileError("it was written with other callbacks")
            if not 0 < state["epoch"] <= self._epochs:
                raise StateFileError(f"it is about {state['epoch']!r} epochs")
            _keras_states.check_random_state(state["random"])
        except StateFileError:
            raise
        except Exception as exc:
            raise StateFileError(f"its content makes no sense ({exc!r})") from exc


class _Text(io.StringIO):
    """A text that can still be read when skorch has closed it."""

    def close(self) -> None:
        """Leave it open."""


def _scheduler_state(callback: Any) -> dict[str, Any]:
    """Return what a learning rate scheduler of PyTorch's has counted, if there is one.

    What it was made with, such as a function, the new try makes again.
    """
    scheduler = getattr(callback, "lr_scheduler_", None)
    if scheduler is None:
        return {}
    return _callback_states.storable(scheduler.state_dict(), {})


def _set_scheduler_state(callback: Any, values: dict[str, Any]) -> None:
    if values:
        scheduler = callback.lr_scheduler_
        scheduler.load_state_dict({**scheduler.state_dict(), **values})


def _weights(callback: Any) -> dict[str, Any]:
    """Return the weights that a callback keeps, as EarlyStopping does the best."""
    tensor = sys.modules["torch"].Tensor
    return {
        name: {key: item.detach().cpu().numpy() for key, item in value.items()}
        for name, value in vars(callback).items()
        if isinstance(value, dict)
        and value
        and all(isinstance(item, tensor) for item in value.values())
    }


def _set_weights(callback: Any, values: dict[str, Any]) -> None:
    convert = sys.modules["torch"].from_numpy
    for name, arrays in values.items():
        kept = {key: convert(array) for key, array in arrays.items()}
        setattr(callback, name, kept)


def _key(data: Any) -> str:
    """Return a key, or nothing where there is none: the fold's own key tells more."""
    try:
        return fingerprint(data)
    except Exception:  # whatever it is that a dataset does not like
        return ""
