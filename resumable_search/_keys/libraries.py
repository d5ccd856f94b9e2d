"""Keys of scikit-learn's objects, SciPy's distributions and random generators."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .._sklearn_compat.estimators import KEPT_BY_CLONE, metadata_request, requests_of
from .encoding import encode_str, node
from .walk import Handler, Walk


def encode_estimator(walk: Walk, value: Any) -> bytes:
    """Key an estimator by class and parameters, and what else a clone keeps."""
    parts = [walk.encode(type(value))]
    # A clone of most estimators keeps the parameters. A class that brings its own
    # way to clone (FrozenEstimator) keeps more.
    clone = getattr(type(value), "__sklearn_clone__", None)
    custom = getattr(clone, "__qualname__", "BaseEstimator.") if clone else None
    if walk.fitted or (custom and not custom.startswith("BaseEstimator.")):
        return node(b"fitted", parts + walk.encode_fitted(value))
    for name, parameter in sorted(value.get_params(deep=False).items()):
        parts += encode_str(name), walk.child(f"__{name}", parameter)
    for name in KEPT_BY_CLONE:
        kept = getattr(value, "__dict__", {}).get(name)
        parts.append(walk.encode(kept or None))
    return node(b"estimator", parts)


def encode_requests(walk: Walk, value: Any) -> bytes:
    """Key a MetadataRequest by what was asked for, not by whom."""
    asked = {
        (name, key): alias
        for name, requests in requests_of(value).items()
        for key, alias in requests.items()
        if alias is not None
    }
    return walk.encode(asked or None)


def encode_passthrough(walk: Walk, value: Any) -> bytes:
    """Key the scorer that stands for an estimator's own score method."""
    # It calls the score method of the estimator, which has a key of its own.
    requests = walk.encode(metadata_request(value))
    return node(b"passthrough", (walk.encode(type(value)), requests))


def encode_frozen(walk: Walk, value: Any) -> bytes:
    """Key a distribution by its arguments."""
    parts = [walk.encode(part) for part in (value.dist, value.args, value.kwds)]
    return node(b"frozen", (walk.encode(type(value)), *parts))


def by_state(read: Callable[[Any], object]) -> Handler:
    """Give a handler that keys values by class and what `read` gives."""

    def encode(walk: Walk, value: Any) -> bytes:
        return node(b"state", (walk.encode(type(value)), walk.encode(read(value))))

    return encode


def seed_sequence(value: Any) -> object:
    """Give what `spawn` reads; before NumPy 2 each copy draws a new one."""
    return value.seed_seq if np.lib.NumpyVersion(np.__version__) >= "2.0.0" else None
