"""Every skorch fit inside a fold tells how far it is, as Keras fits do.

`install` wraps ``NeuralNet.fit_loop``, below the wrapper that resumes fits
(`skorch_epochs`): what a state holds has been told.
"""

import contextlib
import functools
import numbers
from collections.abc import Iterator
from typing import Any

from .. import _folds
from .._folds import RunningFold
from .._records import EpochEvent

__all__ = ["install"]

#: Marks the function that is ours, and those around it.
_MARK = "_resumable_search_events"

#: What skorch puts before the name of a measure -> what Keras does.
_PREFIXES = {"train_": "", "valid_": "val_"}

# No measures, although they are named like ones.
_COUNTS = frozenset({"train_batch_count", "valid_batch_count"})


def install(skorch: Any) -> None:
    """Make every fit of a skorch net in this process tell of its epochs inside folds.

    To be called before `skorch_epochs.install`. To call it again does nothing.
    """
    original = skorch.NeuralNet.fit_loop
    if hasattr(original, _MARK):
        return

    @functools.wraps(original)
    def fit_loop(
        self: Any, X: Any, y: Any = None, epochs: int | None = None, **options: Any
    ) -> Any:
        fold = _folds.current()
        if fold is None or not fold.watchers:
            return original(self, X, y, epochs, **options)
        wanted = self.max_epochs if epochs is None else epochs
        with _watched(skorch, fold, self, wanted):
            return original(self, X, y, epochs, **options)

    setattr(fit_loop, _MARK, True)
    skorch.NeuralNet.fit_loop = fit_loop


@contextlib.contextmanager
def _watched(skorch: Any, fold: RunningFold, net: Any, epochs: int) -> Iterator[None]:
    """Put a callback behind those that measure, and before the one that saves."""
    number = fold.count("fits")
    n_epochs = len(net.history) + epochs

    def tell(_self: Any, net: Any, **_: Any) -> None:
        event = EpochEvent(
            fit=number,
            epoch=len(net.history),
            n_epochs=n_epochs,
            logs=_logs(net.history[-1]),
        )
        for watch in fold.watchers:
            watch(event)

    cls = type("TellEpochs", (skorch.callbacks.Callback,), {"on_epoch_end": tell})
    item = ("tell_epochs", cls())
    names = [name for name, _ in net.callbacks_]
    position = names.index("save_epochs") if "save_epochs" in names else len(names)
    net.callbacks_.insert(position, item)
    try:
        yield
    finally:
        net.callbacks_.remove(item)


def _logs(row: dict[str, Any]) -> dict[str, float]:
    """Return an epoch's measures as Keras would name them."""
    logs = {}
    for name, value in row.items():
        for prefix, keras_prefix in _PREFIXES.items():
            is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
            if name.startswith(prefix) and is_number and name not in _COUNTS:
                logs[keras_prefix + name.removeprefix(prefix)] = float(value)
    return logs
