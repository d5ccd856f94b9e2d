"""Callbacks that follow a search (scikit-learn 1.9)."""

import copy
import os
import weakref
from typing import Any

from sklearn.utils import _safe_indexing
from sklearn.utils.metaestimators import _safe_split

from .calls import FoldCall


def without_siblings(context: Any) -> Any:
    """Copy a callback context and its ancestors, without all other tasks.

    A context reaches the contexts of all folds through its parent; sending those
    with every fold would cost the square of their number.
    """
    if context is None:
        return None
    leaf = copy.copy(context)
    leaf._children_map = {}
    node = leaf
    while node.parent is not None:
        parent = copy.copy(node.parent)
        parent._children_map = {node.task_id: node}
        node.parent = parent
        node = parent
    return leaf


def sibling(prototype: Any, task_id: int | None) -> Any:
    """Make the context of another fold from the one that was sent."""
    context = copy.copy(prototype)
    context.task_id = task_id
    context._children_map = {}
    context.parent._children_map = {task_id: context}
    return context


# Searches whose callbacks run in workers, by a number that stands for them there.
_callers: weakref.WeakValueDictionary[tuple[int, int], Any] = (
    weakref.WeakValueDictionary()
)


def portable_caller(call: FoldCall) -> Any:
    """Return the search to callbacks in workers, without what may not travel."""
    if not is_watched(call):
        return None
    token = os.getpid(), id(call.caller)
    _callers[token] = call.caller
    caller = copy.copy(call.caller)
    # May be a generator of splits. The splits travel by themselves.
    caller.cv = None
    return caller, token


def stand_in(caller: Any, token: tuple[int, int]) -> Any:
    """Make a search that turns into the parent's own when it is sent back there."""
    cls = type(caller)
    stand_in = copy.copy(caller)
    stand_in.__class__ = type(
        cls.__name__,
        (cls,),
        {"__reduce_ex__": lambda _self, _protocol: (_caller_of, (token,))},
    )
    return stand_in


def _caller_of(token: tuple[int, int]) -> Any:
    return _callers.get(token)


def task_position(call: FoldCall) -> int | None:
    """Return the position of a fold among the callback tasks of its search."""
    return None if call.callback_ctx is None else call.callback_ctx.task_id


def is_watched(call: FoldCall) -> bool:
    """Return whether callbacks follow a fold."""
    return call.callback_ctx is not None and bool(call.callback_ctx._callbacks)


def pass_callbacks(call: FoldCall) -> None:
    """Begin and end the callback context of a fold that does not have to run."""
    if not is_watched(call):
        return

    def train_part(position: int) -> Any:
        if call.y is None and position == 1:
            return None
        return _safe_split(call.estimator, call.X, call.y, call.train)[position]

    def metadata() -> dict[str, Any] | None:
        weight = (call.shared.get("fit_params") or {}).get("sample_weight")
        if weight is None:
            return None
        return {"sample_weight": _safe_indexing(weight, call.train)}

    # Functions: scikit-learn calls those that a callback asks for, and no others.
    data = {
        "X": lambda: train_part(0),
        "y": lambda: train_part(1),
        "metadata": metadata,
    }
    context = call.callback_ctx
    context.call_on_fit_task_begin(estimator=call.caller, **data)
    context.call_on_fit_task_end(estimator=call.caller, **data)
