"""A Keras fit inside a fold goes on from the epoch after which it was saved.

`install` wraps ``keras.Model.fit``. While a fold with ``save_epochs`` runs, the
wrapper puts two callbacks around those of the fit::

    first            notes the logs as Keras hands them to the callbacks
    ... the fit's own, History ...
    last             on_train_begin: finds the state of an earlier try, checks all of
                     it against this fit, then takes it over
                     on_epoch_end: saves, when the others are done with the epoch

The last one sees the others after they have reset themselves, so what it sets
stays, and after they have worked on an epoch, so what it saves is complete.

A state is found by what the fit is given: its data, its arguments, the model's
structure, and the number of earlier fits of the fold that were given the same. It
holds the model's variables (weights, statistics, seeds), the optimizers', what
changed in the attributes of the callbacks, the history, and the random states.

What is not in it, so that a resumed fit may differ from an undisturbed one: Python
attributes of the model and of its layers; attributes of callbacks that are not plain
values (numbers, text, arrays, lists, tuples and dicts of them), and what callbacks
keep elsewhere; the position of a stateful TensorFlow operation (``tf.random.normal``
in a layer; Keras's own layers use none).
"""

import functools
import inspect
import warnings
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import numpy as np

from .. import _folds
from .._exceptions import EpochStateWarning
from .._folds import RunningFold
from .._keys.fingerprint import digest
from . import callback_states as _callback_states
from . import keras_states as _keras_states
from . import state_files as _state_files
from .callback_lists import flat
from .fit_keys import fit_key, is_continuous
from .state_files import StateFileError

__all__ = ["install", "uninstall"]

_State = dict[str, Any]

#: What a model class had as its own ``fit`` (None: it inherits it), and ours.
_installed: dict[type, tuple[Any, Any]] = {}
# A fit that a callback of another fit runs belongs to an epoch of that one. The
# epochs before a resumed one do not run again, so its place in the fold is not known.
_inside: ContextVar[bool] = ContextVar("inside", default=False)

# Attributes that Keras sets on a callback, from the fit.
_CALLBACK_LINKS = frozenset({"_model", "model", "params", "_params", "validation_data"})


def install(keras: Any) -> None:
    """Make every ``keras.Model.fit`` in this process resumable inside folds.

    Outside a fold it stays what it is. To call it again does nothing.
    """
    model_class = keras.Model
    if model_class in _installed:
        return
    own, original = vars(model_class).get("fit"), model_class.fit
    signature = inspect.signature(original)

    @functools.wraps(original)
    def fit(self: Any, *args: Any, **kwargs: Any) -> Any:
        fold = _folds.current()
        if fold is None or fold.save_epochs is None or _inside.get():
            return original(self, *args, **kwargs)
        try:
            bound = signature.bind(self, *args, **kwargs)
        except TypeError:  # for Keras's own error
            return original(self, *args, **kwargs)
        bound.apply_defaults()
        token = _inside.set(True)
        try:
            return _fit(keras, fold, original, bound)
        finally:
            _inside.reset(token)

    _installed[model_class] = (own, fit)
    model_class.fit = fit


def uninstall() -> None:
    """Put the ``fit`` of Keras back."""
    while _installed:
        model_class, (own, ours) = _installed.popitem()
        if vars(model_class).get("fit") is not ours:
            continue  # somebody wrapped ours, which does nothing outside a fold
        if own is None:
            del model_class.fit  # type: ignore[attr-defined]
        else:
            model_class.fit = own  # type: ignore[attr-defined]


def _fit(
    keras: Any,
    fold: RunningFold,
    original: Callable[..., Any],
    bound: inspect.BoundArguments,
) -> Any:
    """Call the original with the callbacks that save and restore."""
    model, arguments = bound.arguments["self"], bound.arguments
    theirs = arguments["callbacks"]
    is_list = isinstance(theirs, keras.callbacks.CallbackList)
    siblings = list(theirs.callbacks if is_list else flat(theirs))
    if not is_list and not any(
        isinstance(callback, keras.callbacks.History) for callback in siblings
    ):
        siblings.append(keras.callbacks.History())
    first_class, last_class = _callback_classes(keras)
    session = _Session(keras, fold, model, arguments, siblings)
    first, last = first_class(), last_class()
    first.session = last.session = session
    with _keras_states.keep_initial_epoch(model):
        if not is_list:
            arguments["callbacks"] = [first, *siblings, last]
            return original(*bound.args, **bound.kwargs)
        for callback in (first, last):
            callback.set_params(theirs.params)
            callback.set_model(model)
        theirs.callbacks[:] = [first, *siblings, last]
        try:
            return original(*bound.args, **bound.kwargs)
        finally:
            theirs.callbacks[:] = siblings


@functools.cache
def _callback_classes(keras: Any) -> tuple[Any, Any]:
    """Make the classes of the first and the last callback, now that Keras is there."""

    def note(self: Any, _epoch: int, logs: Any = None) -> None:
        self.session.logs = dict(logs or {})

    def complete(self: Any, logs: Any = None) -> None:
        # One dict for all callbacks. Keras has no logs where no epoch was run.
        if logs is not None and not logs:
            logs.update(self.session.logs)

    def restore(self: Any, _logs: Any = None) -> None:
        self.session.begin((self.params or {}).get("epochs"))

    def save(self: Any, epoch: int, _logs: Any = None) -> None:
        self.session.end_epoch(epoch)

    base = (keras.callbacks.Callback,)
    first = type(
        "FirstCallback", base, {"on_epoch_end": note, "on_train_end": complete}
    )
    last = type("SaveEpochs", base, {"on_train_begin": restore, "on_epoch_end": save})
    return first, last


class _Session:
    """One fit: finds its state, takes it over, saves it.

    Attributes
    ----------
    logs : dict
        Those of the last epoch, before any callback added to them.
    """

    def __init__(
        self,
        keras: Any,
        fold: RunningFold,
        model: Any,
        arguments: dict[str, Any],
        siblings: list[Any],
    ) -> None:
        self._keras = keras
        self._fold = fold
        self._model = model
        self._x = arguments["x"]
        self._siblings = siblings
        self._epochs: int = arguments["epochs"]
        self._initial_epoch: int = arguments["initial_epoch"]
        key = fit_key(model, arguments, siblings)
        self._identity = digest(key, str(fold.count(key)))
        self._continuous = is_continuous(arguments)
        self._named = _named(keras)
        self._before: list[dict[str, object]] = []
        self._failed = False
        self.logs: dict[str, Any] = {}

    @property
    def _path(self) -> Path:
        return self._fold.directory / f"{self._identity}.epochs"

    def begin(self, epochs: int | None) -> None:
        """Take over the state of an earlier try, if there is a sound one."""
        if epochs is not None:
            self._epochs = epochs  # Keras can be told to limit them
        self._before = [
            _callback_states.digests(callback, self._named, _CALLBACK_LINKS)
            for callback in self._siblings
        ]
        try:
            state = _state_files.read(self._path, self._named)
            self._check(state)
        except FileNotFoundError:
            self._warn_if_not_continuous()
        except StateFileError as exc:
            self._warn_unusable(str(exc))
        except OSError as exc:
            self._warn_unusable(f"cannot be read ({exc})")
        else:
            self._restore(state)

    def _warn_if_not_continuous(self) -> None:
        if self._continuous or self._epochs <= self._initial_epoch + 1:
            return
        warnings.warn(
            "Only the end of this Keras fit is saved, because its data comes from a "
            "generator or a dataset, or its epochs have a number of steps: where those "
            "stand after an epoch cannot be saved. If the process is killed during the "
            "fit, it starts with the first epoch again. Pass arrays, and neither "
            "'steps_per_epoch' nor 'validation_steps'.",
            EpochStateWarning,
            stacklevel=2,
        )

    def _warn_unusable(self, reason: str) -> None:
        warnings.warn(
            f"The fold starts this Keras fit again from its first epoch, because the "
            f"file of its saved state {reason}. Got {self._identity}.epochs. The "
            "scores are not affected. If this happens again, check the disk.",
            EpochStateWarning,
            stacklevel=2,
        )

    # Saving

    def end_epoch(self, epoch: int) -> None:
        """Save, if it is time to."""
        finished = epoch + 1 >= self._epochs or bool(self._model.stop_training)
        every = self._fold.save_epochs or 1
        if not finished and ((epoch + 1) % every or not self._continuous):
            return
        try:
            _state_files.write(self._path, self._state(epoch, finished), self._named)
        except Exception as exc:  # a fit without a saved state is still a fit
            if not self._failed:
                self._failed = True
                self._warn_unsaved(epoch, exc)

    def _warn_unsaved(self, epoch: int, error: Exception) -> None:
        warnings.warn(
            f"The state of a Keras fit could not be saved after epoch {epoch + 1} "
            f"({type(error).__name__}: {error}). The training goes on; if the process "
            "is killed, it starts again with an earlier epoch, or the first. Check "
            "that the disk has space and can be written to.",
            EpochStateWarning,
            stacklevel=2,
        )

    def _state(self, epoch: int, finished: bool) -> _State:
        return {
            "identity": self._identity,
            "epoch": epoch + 1,
            "finished": finished,
            "stop_training": bool(self._model.stop_training),
            "logs": _callback_states.storable(self.logs, self._named),
            "callbacks": [
                _callback_states.changes(callback, before, self._named, _CALLBACK_LINKS)
                for callback, before in zip(self._siblings, self._before, strict=True)
            ],
            "random": _keras_states.random_state(),
            **_keras_states.model_state(self._keras, self._model),
        }

    # Restoring

    def _check(self, state: Any) -> None:
        """Hold all of a state against this fit, before any of it is used."""
        try:
            if state["identity"] != self._identity:
                raise StateFileError("was written by another fit")
            if not 0 < state["epoch"] <= self._epochs:
                raise StateFileError(f"is about {state['epoch']!r} epochs")
            if len(state["callbacks"]) != len(self._siblings):
                raise StateFileError("was written with other callbacks")
            for changes in (*state["callbacks"], state["logs"]):
                if not all(type(name) is str for name in changes):
                    raise StateFileError("has attributes without a name")
            _keras_states.check_random_state(state["random"])
            _keras_states.check_state(self._keras, self._model, self._x, state)
        except StateFileError:
            raise
        except Exception as exc:
            raise StateFileError(f"has content that makes no sense ({exc!r})") from exc

    def _restore(self, state: _State) -> None:
        _keras_states.restore_state(self._keras, self._model, state)
        for callback, changes in zip(self._siblings, state["callbacks"], strict=True):
            _callback_states.set_attributes(callback, changes)
        self.logs = state["logs"]
        self._model.stop_training = state["stop_training"]
        # No epoch is left where the training had ended, early or not.
        done = self._epochs if state["finished"] else state["epoch"]
        _keras_states.start_at(self._model, done, state["finished"])
        _keras_states.set_random_state(state["random"])


def _named(keras: Any) -> dict[str, object]:
    """List the functions that a callback may have as an attribute, by their names.

    Never to be looked up by a name in a file: that could be any function at all.
    """
    return {
        "keras.ops.less": keras.ops.less,
        "keras.ops.greater": keras.ops.greater,
        "numpy.less": np.less,
        "numpy.greater": np.greater,
    }
