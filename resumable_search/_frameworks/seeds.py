"""The seeds of global random generators in a worker: Python's, numpy's, frameworks'.

An estimator without a seed draws from them. Each fold has a seed of its own, so its
score does not depend on what its worker has run before. Keras draws its seeds from
Python's generator; JAX has no global one.
"""

import contextlib
import random
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import wrapt

__all__ = ["follow", "generators_put_back", "seed_generators"]

_SEEDERS: dict[str, Callable[[Any, int], None]] = {
    "tensorflow": lambda tensorflow, seed: tensorflow.random.set_seed(seed),
    "torch": lambda torch, seed: torch.manual_seed(seed),
}

_seed: int | None = None


def seed_generators(seed: int) -> None:
    """Seed all global generators that there are, and others when they come.

    Parameters
    ----------
    seed : int
        From 0 to 2**32 - 1.
    """
    global _seed
    _seed = seed
    random.seed(seed)
    np.random.seed(seed)
    for name, seeder in _SEEDERS.items():
        if name in sys.modules:
            seeder(sys.modules[name], seed)


@contextlib.contextmanager
def generators_put_back() -> Iterator[None]:
    """Put the generators back to where they were; but TensorFlow's has no state."""
    python, numpy = random.getstate(), np.random.get_state()
    torch = sys.modules.get("torch")
    state = None if torch is None else torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        if torch is not None:
            torch.set_rng_state(state)


def follow() -> None:
    """Seed the generators of whatever framework a fold imports."""
    for name in _SEEDERS:
        wrapt.register_post_import_hook(_seed_at_import, name)


def _seed_at_import(framework: Any) -> None:
    if _seed is not None:
        _SEEDERS[framework.__name__](framework, _seed)
