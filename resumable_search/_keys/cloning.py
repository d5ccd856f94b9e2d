"""Keys of what scikit-learn clones: estimators by class and parameters.

A search fits clones of its estimator. A clone has the estimator's class and clones of
its parameters, and nothing of what a fit has left in it. So the estimator counts by
these, as far down as `sklearn.base.clone` goes: through estimators and through plain
lists, tuples, sets and dicts. All that `clone` copies as it is counts with its whole
state.
"""

from typing import Any

from sklearn.base import BaseEstimator

from .._sklearn_compat.estimators import KEPT_BY_CLONE
from .._sklearn_compat.parameter_changes import without_usual
from .encoding import encode_str, node
from .handlers import has_own_key
from .python import Keywords
from .relevance import counted
from .walk import Unkeyable, Walk

# By id of the class: a metaclass may compare and hash its classes as it likes.
_ITEMS = {id(list): b"list", id(tuple): b"tuple"}
_SETS = {id(set): b"set", id(frozenset): b"frozenset"}
# Whether the order counts.
_DICTS = {id(dict): (b"dict", True), id(Keywords): (b"keywords", False)}


def encode_cloned(walk: Walk, value: Any) -> bytes:
    """Key a value by what a clone of it has."""
    kind, number = type(value), id(type(value))
    if number in _ITEMS:
        return node(
            _ITEMS[number],
            [
                walk.child(f"[{index}]", item, encode_cloned)
                for index, item in enumerate(value)
            ],
        )
    if number in _SETS:
        items = sorted(encode_cloned(walk, item) for item in value)
        return node(_SETS[number], [*items, b"N"])
    if number in _DICTS:
        tag, ordered = _DICTS[number]
        return node(tag, walk.items(value.items(), ordered, encode_cloned))
    if isinstance(value, type) or not hasattr(value, "get_params"):
        return walk.encode(value)
    if has_own_key(kind) or _has_own_clone(kind):
        return walk.encode(value)
    return _encode_estimator(walk, value)


def _has_own_clone(kind: type) -> bool:
    """Return whether a class brings its own way to clone, as FrozenEstimator does."""
    clone = getattr(kind, "__sklearn_clone__", None)
    return clone not in (None, BaseEstimator.__sklearn_clone__)


def _encode_estimator(walk: Walk, value: Any) -> bytes:
    """Key an estimator by class and parameters, and what else a clone keeps."""
    try:
        parameters = value.get_params(deep=False)
    except Exception as error:
        raise Unkeyable(value, f"get_params(deep=False) failed ({error})") from error
    parts = [walk.encode(type(value))]
    lasting = without_usual(value, counted(type(value), parameters))
    for name, parameter in sorted(lasting.items()):
        parts += encode_str(name), walk.child(f"__{name}", parameter, encode_cloned)
    for name in KEPT_BY_CLONE:
        kept = getattr(value, "__dict__", {}).get(name)
        parts.append(walk.encode(kept or None))
    return node(b"estimator", parts)
