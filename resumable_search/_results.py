"""What a checkpoint knows of a search, in the shape of ``cv_results_``."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ._checkpoint.errors import damaged
from ._checkpoint.locations import find_checkpoint
from ._checkpoint.reader import CheckpointReader
from ._checkpoint.relatives import Change, all_changes
from ._checkpoint.rows import require_alike
from ._exceptions import CheckpointError
from ._keys.digests import fold_key
from ._records import CandidateRecord, FoldRecord, FoldState, SearchRecord

__all__ = [
    "SearchView",
    "choose_search",
    "compare_searches",
    "no_results",
    "read_results",
    "view_search",
]

# More than anybody can run; more would only fill the memory.
_MOST_FOLDS = 10_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchView:
    """A search with all that its checkpoint has of it."""

    search: SearchRecord
    candidates: list[CandidateRecord]
    folds: list[list[dict[str, FoldRecord] | None]]
    """By candidate, then by split: scorer key -> record; None: nothing yet."""

    @property
    def n_folds(self) -> int:
        """Number of folds in all, those of candidates that are not known yet too."""
        return self.search.n_candidates * self.search.n_splits

    def is_done(self, fold: dict[str, FoldRecord] | None) -> bool:
        """Return whether a fold has a score of every scorer of the search."""
        return fold is not None and all(
            key in fold and fold[key].state is FoldState.DONE
            for key in self.search.scorers.values()
        )

    def n_completed(self) -> list[int]:
        """Return the number of finished folds of each candidate."""
        return [sum(map(self.is_done, folds)) for folds in self.folds]

    def failed(self) -> list[tuple[CandidateRecord, int, FoldRecord]]:
        """Return candidate, split and record of each fold whose last try failed."""
        found = []
        for candidate, folds in zip(self.candidates, self.folds, strict=True):
            for split, fold in enumerate(folds):
                for record in (fold or {}).values():
                    if record.state is FoldState.FAILED:
                        found.append((candidate, split, record))
                        break
        return found

    def results(self) -> dict[str, Any]:
        """Return ``cv_results_``, NaN for what is missing, and ``n_completed``."""
        if not self.candidates:
            return no_results()
        # Who only wants to know how far a search is does not wait for scikit-learn.
        from ._sklearn_compat.results import format_results

        names = self._metrics()
        has_train = any(
            record.train_score is not None
            for folds in self.folds
            for fold in folds
            for record in (fold or {}).values()
        )
        out = [
            self._fold_result(fold, names, has_train)
            for folds in self.folds
            for fold in folds
        ]
        results: dict[str, Any] = format_results(
            [candidate.values() for candidate in self.candidates],
            self.search.n_splits,
            out,
            return_train_score=has_train,
        )
        results["n_completed"] = np.array(self.n_completed())
        return results

    def _metrics(self) -> list[str]:
        """Return the names in the dict of a callable ``scoring``, if it gave one."""
        for folds in self.folds:
            for fold in folds:
                for record in (fold or {}).values():
                    if isinstance(record.test_score, dict):
                        return list(record.test_score)
        return []

    def _fold_result(
        self, fold: dict[str, FoldRecord] | None, names: list[str], has_train: bool
    ) -> dict[str, Any]:
        records = {
            name: record
            for name, key in self.search.scorers.items()
            if (record := (fold or {}).get(key)) and record.state is FoldState.DONE
        }
        first = next(iter(records.values()), None)
        result: dict[str, Any] = {
            "fit_error": None,
            "n_test_samples": first.n_test_samples if first else 0,
            "fit_time": first.fit_time if first else np.nan,
            "score_time": first.score_time if first else np.nan,
        }
        for part in ("test_score", "train_score"):
            if part == "train_score" and not has_train:
                continue
            scores = {}
            for name in self.search.scorers:
                score = getattr(records.get(name), part, None)
                if names:
                    scores.update(dict.fromkeys(names, np.nan) | (score or {}))
                else:
                    scores[name] = np.nan if score is None else score
            is_single = list(scores) == ["score"] and not names
            result[f"{part}s"] = scores["score"] if is_single else scores
        return result


def no_results() -> dict[str, Any]:
    """Return the results of a search of which nothing is known."""
    return {"params": [], "n_completed": np.zeros(0, dtype=int)}


def view_search(reader: CheckpointReader, search: SearchRecord) -> SearchView:
    """Read all folds of a search."""
    candidates = reader.candidates(search.number)
    splits = reader.splits(search.number)
    if len(candidates) * search.n_splits > _MOST_FOLDS:
        raise damaged(reader.path, f"{search.n_splits} splits of each candidate")
    keys = [
        [
            fold_key(search.family, candidate.key, split) if split else None
            for split in map(
                splits.get(candidate.round, {}).get, range(search.n_splits)
            )
        ]
        for candidate in candidates
    ]
    found = reader.find_all({key for folds in keys for key in folds if key})
    scorers = set(search.scorers.values())
    for scorer in scorers:
        records = [fold[scorer] for fold in found.values() if scorer in fold]
        require_alike(reader.path, (record.test_score for record in records))
        require_alike(reader.path, (record.train_score for record in records))
    return SearchView(
        search=search,
        candidates=candidates,
        folds=[
            [_of_scorers(found.get(key or ""), scorers) for key in folds]
            for folds in keys
        ],
    )


def _of_scorers(
    fold: dict[str, FoldRecord] | None, scorers: set[str]
) -> dict[str, FoldRecord] | None:
    """Leave out what other searches have scored the same fold by."""
    return {k: r for k, r in (fold or {}).items() if k in scorers} or None


def choose_search(
    searches: Sequence[SearchRecord], number: int | None, path: Path
) -> SearchRecord:
    """Return the search with this number; None: the one that was started last."""
    if not searches:
        raise CheckpointError(f"The checkpoint {path} holds no search yet.")
    for search in searches:
        if number is None or search.number == number:
            return search
    raise CheckpointError(
        f"The checkpoint {path} has no search with the number {number}. It has: "
        f"{', '.join(str(search.number) for search in searches)}."
    )


def read_results(
    checkpoint: str | os.PathLike[str] | None = None,
    *,
    search: int | None = None,
    as_frame: bool = False,
) -> Any:
    """Read what a checkpoint has of a search, while it runs or after it was killed.

    Nothing is locked and nothing is changed, so this can be done at any time, from
    any process.

    Parameters
    ----------
    checkpoint : str or path-like, default=None
        The file. ``None``: where a search without the parameter would keep it.

    search : int, default=None
        Number of the search in the file, as ``resumable-search list`` shows it.
        ``None``: the one that was started last.

    as_frame : bool, default=False
        Whether to give a pandas DataFrame. Needs pandas.

    Returns
    -------
    results : dict of str to ndarray of shape (n_candidates,), or DataFrame
        As ``cv_results_``, for the candidates that are known so far. What is not
        finished or has failed is NaN (in ``split0_test_score`` and so on, and in
        the means that need it). ``n_completed`` has the number of finished folds of
        each candidate. Parameters that are no numbers, strings, booleans or None
        come as text.

    Raises
    ------
    CheckpointError
        If there is no such file or search, or it cannot be read.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.svm import SVC
    >>> from resumable_search import ResumableGridSearchCV, read_results
    >>> X, y = load_iris(return_X_y=True)
    >>> search = ResumableGridSearchCV(SVC(), {"C": [1, 10]}, cv=3).fit(X, y)
    >>> results = read_results(search.resumption.checkpoint)
    >>> results["params"], results["n_completed"].tolist()
    ([{'C': 1}, {'C': 10}], [3, 3])
    """
    path = find_checkpoint(checkpoint)
    reader = CheckpointReader(path)
    try:
        record = choose_search(reader.searches(), search, path)
        results = view_search(reader, record).results()
    finally:
        reader.close()
    if not as_frame:
        return results
    try:
        import pandas as pd  # asked for, and an optional dependency
    except ImportError as exc:
        raise ImportError(
            "read_results with as_frame=True needs pandas. Install it with 'pip "
            "install pandas', or leave as_frame out."
        ) from exc

    return pd.DataFrame(results)


def compare_searches(
    first: int,
    second: int,
    *,
    checkpoint: str | os.PathLike[str] | None = None,
) -> list[Change]:
    """Say what is not the same in two searches of a checkpoint.

    This is why the folds of one cannot be used for the other. Nothing is locked and
    nothing is changed.

    Parameters
    ----------
    first, second : int
        Numbers of the searches, as ``resumable-search list`` shows them.

    checkpoint : str or path-like, default=None
        The file. ``None``: where a search without the parameter would keep it.

    Returns
    -------
    changes : list of Change
        Each has the attributes ``part``, ``name``, ``before``, ``after`` (short texts)
        and ``remark``, and reads as a sentence with ``str``. Empty if the searches
        differ by nothing but their candidates.

    Raises
    ------
    CheckpointError
        If there is no such file or search, or it cannot be read.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.svm import SVC
    >>> from resumable_search import ResumableGridSearchCV, compare_searches
    >>> X, y = load_iris(return_X_y=True)
    >>> for cv in (3, 5):
    ...     search = ResumableGridSearchCV(SVC(), {"C": [1]}, cv=cv).fit(X, y)
    >>> print(*compare_searches(1, 2))
    splitter 'cv': 3 -> 5
    """
    path = find_checkpoint(checkpoint)
    reader = CheckpointReader(path)
    try:
        searches = reader.searches()
        old, new = (choose_search(searches, n, path) for n in (first, second))
        details = reader.details(old.number), reader.details(new.number)
    finally:
        reader.close()
    return all_changes(old, new, *details)
