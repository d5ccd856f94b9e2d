"""Every Keras fit inside a fold tells how far it is.

`install` wraps ``keras.Model.fit``. While a fold runs that somebody watches, the
wrapper puts a callback before those of the fit, which passes each finished epoch on.
It reads, and changes nothing.

It stands below the wrapper that resumes fits (`keras_epochs`), so that a state is
found by the callbacks of the user alone, and before the callback that saves: what a
state holds has been told, and what is told twice is an epoch that ran twice.
"""

import contextlib
import functools
import inspect
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from .. import _folds
from .._folds import RunningFold
from .._records import EpochEvent
from .callback_lists import flat

__all__ = ["install"]

#: Marks the function that is ours, and those around it.
_MARK = "_resumable_search_events"

# A fit that a callback of another fit runs belongs to an epoch of that one.
_inside: ContextVar[bool] = ContextVar("inside", default=False)


def install(keras: Any) -> None:
    """Make every ``keras.Model.fit`` in this process tell of its epochs inside folds.

    To be called before `keras_epochs.install`. To call it again does nothing.
    """
    original = keras.Model.fit
    if hasattr(original, _MARK):
        return
    signature = inspect.signature(original)

    @functools.wraps(original)
    def fit(self: Any, *args: Any, **kwargs: Any) -> Any:
        fold = _folds.current()
        if fold is None or not fold.watchers or _inside.get():
            return original(self, *args, **kwargs)
        try:
            bound = signature.bind(self, *args, **kwargs)
        except TypeError:  # for Keras's own error
            return original(self, *args, **kwargs)
        bound.apply_defaults()
        token = _inside.set(True)
        try:
            with _watched(keras, fold, bound.arguments):
                return original(*bound.args, **bound.kwargs)
        finally:
            _inside.reset(token)

    setattr(fit, _MARK, True)
    keras.Model.fit = fit


@contextlib.contextmanager
def _watched(
    keras: Any, fold: RunningFold, arguments: dict[str, Any]
) -> Iterator[None]:
    """Put the callback before those of the fit."""
    callback = _callback_class(keras)()
    callback.fold = fold
    callback.number = fold.count("fits")
    theirs = arguments["callbacks"]
    if not isinstance(theirs, keras.callbacks.CallbackList):
        arguments["callbacks"] = [callback, *flat(theirs)]
        yield
        return
    callback.set_params(theirs.params)
    callback.set_model(arguments["self"])
    theirs.callbacks.insert(0, callback)
    try:
        yield
    finally:
        theirs.callbacks.remove(callback)


@functools.cache
def _callback_class(keras: Any) -> Any:
    """Make the class of the callback, now that Keras is there."""

    def tell(self: Any, epoch: int, logs: Any = None) -> None:
        event = EpochEvent(
            fit=self.number,
            epoch=epoch + 1,
            n_epochs=int((self.params or {}).get("epochs") or 0),
            logs={**_numbers(logs or {}), **_learning_rate(keras, self.model)},
        )
        for watch in self.fold.watchers:
            watch(event)

    return type("TellEpochs", (keras.callbacks.Callback,), {"on_epoch_end": tell})


def _numbers(logs: dict[str, Any]) -> dict[str, float]:
    numbers = {}
    for name, value in logs.items():
        with contextlib.suppress(TypeError, ValueError):  # not one number
            numbers[str(name)] = float(value)
    return numbers


def _learning_rate(keras: Any, model: Any) -> dict[str, float]:
    # Whatever an optimizer of the user's does about it: a fit is not to fail by it.
    with contextlib.suppress(Exception):
        rate = model.optimizer.learning_rate
        return {"learning_rate": float(keras.ops.convert_to_numpy(rate))}
    return {}
