"""Keys of scikit-learn's objects, SciPy's distributions and random generators."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .._sklearn_compat.estimators import metadata_request, requests_of
from .._sklearn_compat.scorers import scorer_parts
from .encoding import node
from .held import name_of_global
from .python import Keywords
from .relevance import Drawn
from .walk import Handler, Walk


def encode_requests(walk: Walk, value: Any) -> bytes:
    """Key a MetadataRequest by what was asked for, not by whom."""
    asked = {
        (name, key): alias
        for name, requests in requests_of(value).items()
        for key, alias in requests.items()
        if alias is not None
    }
    return walk.encode(Keywords(asked) or None)


def encode_passthrough(walk: Walk, value: Any) -> bytes:
    """Key the scorer that stands for an estimator's own score method."""
    # It calls the score method of the estimator, which has a key of its own.
    requests = walk.encode(metadata_request(value))
    return node(b"passthrough", (walk.encode(type(value)), requests))


def encode_scorer(walk: Walk, value: Any) -> bytes:
    """Key a scorer by what it scores with, whatever scikit-learn calls its parts."""
    parts, attributes = scorer_parts(value)
    parts["arguments"] = Keywords(parts["arguments"])
    encoded = [walk.encode(type(value)), *walk.attributes(attributes)]
    for name, part in parts.items():
        encoded.append(walk.child(f" -> {name}", part))
    return node(b"scorer", encoded)


def encode_drawn(walk: Walk, value: Drawn) -> bytes:
    """Key a distribution that a search draws from, without a generator of its own."""
    frozen = value.distribution
    parts = (frozen.dist._updated_ctor_param(), frozen.args, Keywords(frozen.kwds))
    kinds = (walk.encode(type(frozen)), walk.encode(type(frozen.dist)))
    return node(b"drawn", (*kinds, *(walk.encode(part) for part in parts)))


def encode_tree(walk: Walk, value: Any) -> bytes:
    """Key a tree of neighbours by its nodes, not by how often it was asked."""
    *arrays, leaf_size, levels, nodes, _, _, _, _, metric, weights = (
        value.__getstate__()
    )
    parts = [*map(np.asarray, arrays), leaf_size, levels, nodes, metric]
    parts.append(None if weights is None else np.asarray(weights))
    return node(b"tree", [walk.encode(part) for part in (type(value), *parts)])


def encode_frozen(walk: Walk, value: Any) -> bytes:
    """Key a distribution by its arguments."""
    parts = [
        walk.encode(part) for part in (value.dist, value.args, Keywords(value.kwds))
    ]
    return node(b"frozen", (walk.encode(type(value)), *parts))


def by_state(read: Callable[[Any], object]) -> Handler:
    """Return a handler that keys values by class and what `read` gives."""

    def encode(walk: Walk, value: Any) -> bytes:
        place = name_of_global(value)
        if place is not None:
            return walk.library(b"global", *place)
        return node(b"state", (walk.encode(type(value)), walk.encode(read(value))))

    return encode


def seed_sequence(value: Any) -> object:
    """Return what `spawn` reads; before NumPy 2 each copy draws a new one."""
    return value.seed_seq if np.lib.NumpyVersion(np.__version__) >= "2.0.0" else None
