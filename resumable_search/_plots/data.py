"""What a picture needs of a checkpoint, as arrays."""

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import NotFittedError

from .._checkpoint.locations import find_checkpoint
from .._checkpoint.reader import CheckpointReader
from .._records import FoldRecord, FoldState
from .._results import SearchView, choose_search, view_search

__all__ = ["fold_table", "read_view", "score_table", "view_of"]


def read_view(
    checkpoint: str | os.PathLike[str] | None, number: int | None
) -> SearchView:
    """Read a search from a checkpoint.

    Raises
    ------
    CheckpointError
        If there is no such file or search, or it cannot be read.
    ValueError
        If the search has no candidate yet.
    """
    path = find_checkpoint(checkpoint)
    reader = CheckpointReader(path)
    try:
        search = choose_search(reader.searches(), number, path)
        view = view_search(reader, search)
    finally:
        reader.close()
    if not view.candidates:
        raise ValueError(
            f"Search {search.number} in the checkpoint {path} has no candidates yet, "
            "so there is nothing to draw. Draw it when its first fold is finished."
        )
    return view


def view_of(search: Any) -> SearchView:
    """Read what the checkpoint of a fitted search has of it.

    Raises
    ------
    TypeError
        If this is no search of this package.
    NotFittedError
        If its ``fit`` has not come as far as its checkpoint.
    """
    name = type(search).__name__
    if not hasattr(type(search), "resumption"):
        raise TypeError(
            "The 'search' parameter must be a fitted search of resumable_search, such "
            f"as ResumableGridSearchCV. Got {name} instead. To draw what a file "
            "holds, use 'from_checkpoint'."
        )
    resumption = getattr(search, "resumption", None)  # an error until it is fitted
    if resumption is None or resumption.search is None:
        raise NotFittedError(
            f"This {name} is not in a checkpoint yet: 'fit' was not called, or "
            "failed before the first fold. Call 'fit', or draw what a file holds with "
            "'from_checkpoint'."
        )
    return read_view(resumption.checkpoint, resumption.search)


def score_table(
    view: SearchView, metric: str | None
) -> tuple[str, NDArray[np.float64]]:
    """Return a metric's name and its test scores, of shape (n_candidates, n_splits).

    What is not there is NaN.
    """
    results = view.results()
    names = [
        key.removeprefix("mean_test_") for key in results if key.startswith("mean_test")
    ]
    name = view.search.metric if metric is None else metric
    if metric is None and len(names) == 1:
        name = names[0]
    if name not in names:
        raise ValueError(
            f"The 'metric' parameter must be one of {', '.join(map(repr, names))}: by "
            f"these the candidates were scored. Got {metric!r} instead."
        )
    splits = [results[f"split{i}_test_{name}"] for i in range(view.search.n_splits)]
    return name, np.column_stack(splits).astype(np.float64)


def fold_table(view: SearchView) -> dict[str, NDArray[Any]]:
    """Return the finished and failed folds in the order in which they ended."""
    rows = []
    for candidate, folds in enumerate(view.folds):
        for split, fold in enumerate(folds):
            records = list((fold or {}).values())
            failed = any(r.state is FoldState.FAILED for r in records)
            if not failed and not view.is_done(fold):
                continue
            last = max(records, key=lambda record: record.finished or 0.0)
            finished = last.finished or 0.0
            rows.append(
                (
                    finished,
                    _begin(last, finished),
                    candidate,
                    split,
                    -1 if last.worker is None else last.worker,
                    last.device or "",
                    failed,
                )
            )
    rows.sort()
    names = ("finished", "started", "candidate", "split", "worker", "device", "failed")
    types = (np.float64, np.float64, np.int64, np.int64, np.int64, object, np.bool_)
    columns = list(zip(*rows, strict=True)) or [()] * len(names)
    return {
        name: np.array(column, dtype=kind)
        for name, column, kind in zip(names, columns, types, strict=True)
    }


def _begin(record: FoldRecord, finished: float) -> float:
    """Return when a fold began; older checkpoints only know how long it took."""
    if record.started is not None:
        return min(record.started, finished)
    return finished - record.fit_time - record.score_time
