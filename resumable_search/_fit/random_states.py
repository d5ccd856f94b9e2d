"""Unseeded splitters and samplers draw the same again when a search is repeated.

A splitter or a sampler without a seed draws from numpy's global random state. The
state from which it drew first is kept in the checkpoint; a repeated fit draws from
a generator in that state, so it comes upon the same splits and candidates. The
first fit draws from the global state itself, exactly as in scikit-learn.

So it is with the seed from which the seeds of all folds come, but for one thing: it is
drawn from a copy of the global state, which stays as it is.
"""

import copy
import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

__all__ = [
    "RecordedSplitter",
    "another_state",
    "base_seed",
    "is_state",
    "is_unseeded",
    "recorded_state",
]

# Of a state of numpy's global generator.
_N_WORDS = 624

#: Gives the state that was kept, or keeps the one it is given and gives None.
Recall = Callable[[object], Any]


def is_unseeded(cv: Any) -> bool:
    """Return whether a splitter draws its splits anew each time."""
    return (
        hasattr(cv, "split")
        and getattr(cv, "random_state", 0) is None
        and bool(getattr(cv, "shuffle", True))
    )


def is_state(recorded: Any) -> bool:
    """Return whether a value has the form in which states are recorded.

    numpy does not look, and would read from memory that is not its own.
    """
    try:
        inner = recorded["state"]
        return (
            recorded.keys() == {"bit_generator", "state", "has_gauss", "gauss"}
            and recorded["bit_generator"] == "MT19937"
            and recorded["has_gauss"] in (0, 1)
            and type(recorded["gauss"]) in (int, float)
            and inner.keys() == {"key", "pos"}
            and type(inner["pos"]) is int
            and 0 <= inner["pos"] <= _N_WORDS
            and len(inner["key"]) == _N_WORDS
            and all(type(word) is int and 0 <= word < 2**32 for word in inner["key"])
        )
    except (TypeError, KeyError, AttributeError):
        return False


def recorded_state(recall: Recall) -> np.random.RandomState | None:
    """Return a generator in the recorded state; None on the first fit.

    None is what scikit-learn takes for the global state, which was just recorded.
    """
    recorded = recall(_state_now())
    return None if recorded is None else _generator(recorded)


def another_state(recorded: object, now: object) -> dict[str, Any]:
    """Return a state that follows from two others and is neither."""
    content = json.dumps([recorded, now], sort_keys=True).encode()
    words = np.frombuffer(hashlib.sha256(content).digest(), dtype="<u4")
    state = np.random.RandomState(words).get_state(legacy=False)
    key = state["state"]
    return {**state, "state": {"key": key["key"].tolist(), "pos": int(key["pos"])}}


def base_seed(recall: Recall) -> int:
    """Return the seed from which those of the folds come, the recorded one if any."""
    now = _state_now()
    # The second time, it is there: this one, or that of a process that was faster.
    recorded = recall(now) or recall(now)
    return int(_generator(recorded).randint(2**32, dtype=np.uint32))


def _state_now() -> dict[str, Any]:
    state = np.random.get_state(legacy=False)
    if state["bit_generator"] != "MT19937":  # np.random.set_bit_generator
        generator = np.random.Generator(copy.deepcopy(np.random.get_bit_generator()))  # type: ignore[attr-defined]
        seeded = np.random.RandomState(int(generator.integers(2**32)))
        state = seeded.get_state(legacy=False)
    key = state["state"]
    return {**state, "state": {"key": key["key"].tolist(), "pos": int(key["pos"])}}


def _generator(recorded: dict[str, Any]) -> np.random.RandomState:
    generator = np.random.RandomState()
    generator.set_state(
        {
            **recorded,
            "state": {
                "key": np.array(recorded["state"]["key"], dtype=np.uint32),
                "pos": recorded["state"]["pos"],
            },
        }
    )
    return generator


class RecordedSplitter:
    """Stands in for an unseeded splitter during a fit.

    Parameters
    ----------
    cv : splitter
        The user's.
    recall : callable
        Gets the state of now, gives the recorded one, if any.
    """

    def __init__(self, cv: Any, recall: Recall) -> None:
        self._cv = cv
        self._recall = recall
        self._recalled = False

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[Any]:
        """Yield train and test indices, as the user's splitter does."""
        if not self._recalled:
            generator = recorded_state(self._recall)
            if generator is not None:
                self._cv = copy.copy(self._cv)
                self._cv.random_state = generator
            self._recalled = True
        yield from self._cv.split(X, y, groups)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._cv, name)

    def __repr__(self) -> str:
        return repr(self._cv)
