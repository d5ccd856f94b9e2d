"""Checkpoints of searches that were never run, for those who read them."""

import time

from resumable_search._checkpoint.store import CheckpointStore
from resumable_search._keys.fingerprint import fold_key
from resumable_search._keys.summaries import table_of
from resumable_search._records import (
    CandidateRecord,
    FoldRecord,
    FoldState,
    SearchRecord,
)


def write_search(
    path,
    candidates,
    scores,
    *,
    key="5ea4c4",
    n_splits=3,
    scorers=None,
    errors=None,
    kind="ResumableGridSearchCV",
    estimator="sklearn.svm._classes.SVC",
    n_candidates=None,
):
    """Write a search and what is known of its folds.

    Parameters
    ----------
    path : Path
        The checkpoint; one that is there gets the search too.
    candidates : list of dict
        Their parameters.
    scores : dict of (int, int) to float, None or dict
        By candidate and split. None: the fold failed; a dict: of several scorers.
    key : str
        Of the search.
    n_splits : int
        Number of splits.
    scorers : list of str or None
        Names of several scorers, the one that decides first.
    errors : dict of (int, int) to str or None
        Of folds that failed.
    kind, estimator : str
        Classes of the search and of what it fits.
    n_candidates : int or None
        How many there are to be. None: those that are given.
    """
    names = scorers or ["score"]
    store = CheckpointStore(path)
    number = store.register(
        SearchRecord(
            key=key,
            family=key,
            kind=kind,
            run="a run",
            n_splits=n_splits,
            n_candidates=n_candidates or len(candidates),
            scorers={name: f"{name} key" for name in names},
            metric=names[0],
            parts={"estimator": {"": ("k", estimator)}},
        )
    )
    store.describe(
        number,
        [
            CandidateRecord(
                position=i, round=0, key=f"c{i}", parameters=table_of(candidate)
            )
            for i, candidate in enumerate(candidates)
        ],
        [(0, split, f"s{split}") for split in range(n_splits)],
        n_candidates or len(candidates),
    )
    for place, score in scores.items():
        store.save(
            [
                _record(key, place, name, score, (errors or {}).get(place))
                for name in names
            ]
        )
    store.close()
    return number


def _record(key, place, name, score, error):
    failed = score is None
    if isinstance(score, dict):
        score = score[name]
    candidate, split = place
    return FoldRecord(
        key=fold_key(key, f"c{candidate}", f"s{split}"),
        scorer=f"{name} key",
        state=FoldState.FAILED if failed else FoldState.DONE,
        test_score=score,
        train_score=None,
        n_test_samples=10,
        fit_time=0.5,
        score_time=0.25,
        started=time.time() - 0.75,
        worker=split % 2,
        device="GPU-8f3a1c2d-0000" if split % 2 else None,
        error=(error or "Traceback: ValueError: no") if failed else None,
    )


def all_folds(n_candidates, n_splits=3, score=lambda candidate, split: candidate / 10):
    """Give a score for each fold."""
    return {
        (candidate, split): score(candidate, split)
        for candidate in range(n_candidates)
        for split in range(n_splits)
    }
