"""A search and its checkpoint: what is which fold, what is there, what is new.

A fold's key is made of what its score depends on:

- *family*: estimator with all its parameters, ``X``, ``y``, fit parameters, and the
  scikit-learn settings that matter;
- *candidate*: the parameters that are tried;
- *split*: the train and test indices.

Under that key there is a score for each *scorer* key.
"""

import importlib.metadata
import logging
import os
import platform
import sys
import uuid
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ._checkpoint.errors import damaged
from ._checkpoint.fold_folders import FoldFolders
from ._checkpoint.locations import resolve_checkpoint
from ._checkpoint.locks import SearchLock
from ._checkpoint.reader import CheckpointReader
from ._checkpoint.relatives import relative_text
from ._checkpoint.rows import require_alike
from ._checkpoint.status_files import remove_status, write_status
from ._checkpoint.store import CheckpointStore
from ._exceptions import (
    FingerprintError,
    NothingReusedWarning,
    VersionMixWarning,
    WorkerError,
)
from ._keys.fingerprint import (
    digest,
    fingerprint,
    fold_key,
    parameter_table,
    refit_key,
)
from ._keys.summaries import summarize, table_of
from ._random_states import is_state
from ._records import (
    CandidateRecord,
    FoldOutcome,
    FoldRecord,
    FoldState,
    LiveStatus,
    Resumption,
    Score,
    SearchRecord,
)
from ._results import SearchView, choose_search, view_search
from ._sklearn_compat import (
    FoldCall,
    finished_result,
    is_estimator_score,
    score_settings,
    scorers_by_name,
)

__all__ = ["PlannedFold", "SearchSession"]

_log = logging.getLogger(__name__)

# The processes of one run share it: nested searches in parallel workers are no
# relatives to warn about.
_RUN_VARIABLE = "_RESUMABLE_SEARCH_RUN"
os.environ.setdefault(_RUN_VARIABLE, uuid.uuid4().hex)

#: Parameters of a search that its folds do not depend on, or that are keyed apart.
_NOT_THE_SPACE = frozenset(
    {
        "checkpoint",
        "cv",
        "devices",
        "error_score",
        "estimator",
        "fold_timeout",
        "gpu_memory",
        "grace_period",
        "max_retries",
        "mps",
        "n_jobs",
        "pre_dispatch",
        "refit",
        "return_train_score",
        "save_epochs",
        "scoring",
        "tensorboard",
        "time_budget",
        "verbose",
    }
)

# Import name -> the distributions that may have brought it.
_DISTRIBUTIONS = {
    "sklearn": ("scikit-learn",),
    "tensorflow": ("tensorflow", "tensorflow-cpu", "tensorflow-macos"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedFold:
    """A fold and what the checkpoint has of it."""

    call: FoldCall
    key: str
    position: int
    """Of the candidate in ``cv_results_``."""
    found: dict[str, FoldRecord]
    """Finished scores, by name of the scorer."""
    result: dict[str, Any] | None
    """The result, if all that is wanted was found."""


class SearchSession:
    """The checkpoint as one ``fit`` sees it.

    Parameters
    ----------
    search : BaseSearchCV
        The search.
    X, y : array-like
        What was given to ``fit``.
    checkpoint : str, path-like or None
        As given by the user.
    metric : str
        Name of the scorer by which candidates are compared.
    """

    def __init__(
        self, search: Any, X: Any, y: Any, checkpoint: Any, metric: str = "score"
    ) -> None:
        self._search = search
        self._cv = search.cv
        self._X, self._y = X, y
        self._checkpoint = checkpoint
        self._metric = metric
        self._store: CheckpointStore | None = None
        self._lock: SearchLock | None = None
        self._key = ""
        self._search_number = 0
        self._known_values: dict[int, tuple[Any, str]] = {}
        self._split_keys: dict[int, tuple[Any, str]] = {}
        self._candidate = (-1, "")
        # Each call of evaluate_candidates is a round, with its own splits.
        self._round = -1
        self._n_before = self._n_candidates = 0
        self._scorer_keys: dict[str, str] | None = None
        self._first_scores: dict[str, Score | None] = {}
        self._family = ""
        self.same_folds = ""
        """Digest of what decides which folds a candidate has: estimator, data and
        splitter. Known when a fold was looked up."""
        self._relative: str | None = None
        self._old_versions: set[tuple[tuple[str, str], ...]] = set()
        self.path: Path | None = None
        self._folders: FoldFolders | None = None
        self.n_resumed = self.n_left_out = 0
        self._n_run = self._n_failed = 0

    # ------------------------------------------------------------------
    # Open and close

    def open(self) -> None:
        """Open the checkpoint; errors of its place come before any fold runs."""
        if self._store is None:
            self.path = resolve_checkpoint(self._checkpoint)
            self._store = CheckpointStore(self.path)
            _log.info("Checkpoint %s opened", self.path)
            self._folders = FoldFolders(self.path)

    def close(self) -> None:
        """Close the checkpoint and let others run this search."""
        if self._lock is not None:
            assert self.path is not None
            remove_status(self.path, self._key)
            self._lock.release()
            self._lock = None
        if self._store is not None:
            self._store.close()
            self._store = None
            self.folders.close()

    @property
    def store(self) -> CheckpointStore:
        """The open checkpoint."""
        self.open()
        assert self._store is not None
        return self._store

    @property
    def folders(self) -> FoldFolders:
        """Where folds keep files until they are done."""
        assert self._folders is not None
        return self._folders

    def tell(self, status: LiveStatus) -> None:
        """Say how the search is to those who look on from other processes."""
        if self._lock is not None:
            assert self.path is not None
            write_status(self.path, self._key, status)

    def refit_folder(self, parameters: Mapping[str, Any]) -> Path:
        """Give the directory of the refit with these parameters."""
        key = refit_key(self._family, fingerprint(dict(parameters), "candidate"))
        return self.folders.of(key)

    def resumption(self) -> Resumption:
        """Give an account of the fit."""
        assert self.path is not None
        return Resumption(
            checkpoint=self.path,
            n_resumed=self.n_resumed,
            n_run=self._n_run,
            n_failed=self._n_failed,
            n_left_out=self.n_left_out,
            search=self._search_number or None,
        )

    def view(self) -> SearchView | None:
        """Give what the checkpoint has of this search, when it is closed again."""
        if self.path is None or not self._search_number:
            return None
        reader = CheckpointReader(self.path)
        try:
            searches = reader.searches()
            search = choose_search(searches, self._search_number, self.path)
            return view_search(reader, search)
        finally:
            reader.close()

    # ------------------------------------------------------------------
    # Random states

    def recall_random_state(self, what: str, source: object, state: object) -> Any:
        """Give the state that `source` drew from first, or keep `state` for it."""
        key = digest(
            what,
            fingerprint(source, what),
            self._key_of(self._search.estimator, "estimator"),
            self._key_of(self._X, "X"),
            self._key_of(self._y, "y"),
        )
        recorded = self.store.random_state(key)
        if recorded is None:
            self.store.save_random_state(key, state)
        elif not is_state(recorded):
            raise damaged(
                self.store.path, "in the table 'random_states': that is no state"
            )
        return recorded

    def space(self) -> dict[str, Any]:
        """Give the parameters that say which candidates there are."""
        parameters = self._search.get_params(deep=False)
        return {k: v for k, v in parameters.items() if k not in _NOT_THE_SPACE}

    # ------------------------------------------------------------------
    # Folds

    def plan(self, calls: Sequence[FoldCall]) -> list[PlannedFold]:
        """Look folds up."""
        if self._scorer_keys is None:
            self._begin(calls[0])
        keys = self._fold_keys(calls)
        stored = self.store.find(set(keys))
        planned = [
            self._plan(call, key, stored.get(key, {}))
            for call, key in zip(calls, keys, strict=True)
        ]
        if self._relative is not None:
            if not any(fold.result is not None for fold in planned):
                warnings.warn(self._relative, NothingReusedWarning, stacklevel=2)
            self._relative = None
        return planned

    def save(self, outcomes: Sequence[tuple[PlannedFold, FoldOutcome]]) -> None:
        """Store what came of folds. They are on the disk when this returns."""
        records: list[FoldRecord] = []
        for fold, outcome in outcomes:
            if outcome.cancelled:
                continue
            self._n_run += 1
            self._n_failed += outcome.failure is not None or outcome.result is None
            records.extend(self._records(fold, outcome))
        if records:
            self.store.save(records)
        for fold, outcome in outcomes:
            # A fold that could not run to its end goes on from there the next time.
            if outcome.cancelled or isinstance(outcome.error, WorkerError):
                self.folders.keep(fold.key)
            else:
                self.folders.remove(fold.key)

    def merged(self, fold: PlannedFold, result: dict[str, Any]) -> dict[str, Any]:
        """Put stored scores in the place of those that were computed again.

        A stored score is never changed, so a scorer that was there keeps its score
        when another scorer is added.
        """
        test, train = _scores_of(result, fold.call)
        self._require_alike(test)
        for name, record in fold.found.items():
            test[name] = record.test_score
            if record.train_score is not None:
                train[name] = record.train_score
        return finished_result(
            fold.call,
            test,
            train,
            n_test_samples=result["n_test_samples"],
            fit_time=result["fit_time"],
            score_time=result["score_time"],
        )

    # ------------------------------------------------------------------

    def _begin(self, call: FoldCall) -> None:
        """Find out what all folds have in common, and take the search's lock."""
        fit_params = call.shared.get("fit_params") or {}
        estimator_key = self._key_of(call.estimator, "estimator")
        settings = score_settings()
        self._family = digest(
            "fold",
            estimator_key,
            self._key_of(call.X, "X"),
            self._key_of(call.y, "y"),
            *(f"{n}={self._key_of(v, n)}" for n, v in sorted(fit_params.items())),
            fingerprint(settings, "sklearn.get_config()"),
        )
        self._scorer_keys = _scorer_keys(call)
        cv_key = _loose_key(self._cv)
        self.same_folds = digest("folds", self._family, cv_key)
        space = self.space()
        parts = {
            "estimator": parameter_table(call.estimator),
            "data": {
                "X": (self._key_of(call.X, "X"), summarize(call.X)),
                "y": (self._key_of(call.y, "y"), summarize(call.y)),
            },
            "fit parameter": {
                n: (self._key_of(v, n), summarize(v)) for n, v in fit_params.items()
            },
            "scorer": {
                name: (key, summarize(scorers_by_name(call.shared["scorer"])[0][name]))
                for name, key in self._scorer_keys.items()
            },
            "splitter": {"cv": (cv_key, summarize(self._cv))},
            "scikit-learn setting": {
                n: (fingerprint(v), summarize(v)) for n, v in settings.items()
            },
        }
        kind = type(self._search).__name__
        record = SearchRecord(
            key=digest(
                kind,
                self._family,
                *sorted(self._scorer_keys.values()),
                cv_key,
                _loose_key(space),
            ),
            family=self._family,
            kind=kind,
            run=os.environ[_RUN_VARIABLE],
            n_splits=call.n_splits,
            n_candidates=call.n_candidates,
            scorers=self._scorer_keys,
            metric=self._metric,
            parts=parts,
        )
        assert self.path is not None
        lock = SearchLock(self.path, record.key)
        lock.acquire()
        self._lock, self._key = lock, record.key
        self._relative = relative_text(self.path, record, self.store.searches())
        self._search_number = self.store.register(record)

    def _key_of(self, value: object, name: str) -> str:
        """Key a large value, once per fit."""
        known = self._known_values.get(id(value))
        if known is None:
            known = self._known_values[id(value)] = (value, fingerprint(value, name))
        return known[1]

    def _fold_keys(self, calls: Sequence[FoldCall]) -> list[str]:
        keys = []
        candidates: list[CandidateRecord] = []
        splits: list[tuple[int, int, str]] = []
        for call in calls:
            split = self._split_keys.get(id(call.train))
            if split is None:
                if call.candidate == call.split == 0:
                    self._round += 1
                    self._n_before = self._n_candidates
                    self._n_candidates += call.n_candidates
                key = digest(fingerprint(call.train), fingerprint(call.test))
                split = self._split_keys[id(call.train)] = (call.train, key)
                splits.append((self._round, call.split, key))
            # The folds of a candidate come one after the other.
            position = self._n_before + call.candidate
            if self._candidate[0] != position:
                key = fingerprint(call.parameters, "candidate")
                self._candidate = (position, key)
                candidates.append(
                    CandidateRecord(
                        position=position,
                        round=self._round,
                        key=key,
                        parameters=table_of(call.parameters),
                    )
                )
            keys.append(fold_key(self._family, self._candidate[1], split[1]))
        if candidates or splits:
            self.store.describe(
                self._search_number, candidates, splits, self._n_candidates
            )
        return keys

    def _plan(
        self, call: FoldCall, key: str, stored: Mapping[str, FoldRecord]
    ) -> PlannedFold:
        assert self._scorer_keys is not None
        found = {
            name: stored[scorer]
            for name, scorer in self._scorer_keys.items()
            if scorer in stored
        }
        self._require_alike({n: record.test_score for n, record in found.items()})
        is_complete = len(found) == len(self._scorer_keys) and not (
            call.return_train_score
            and any(record.train_score is None for record in found.values())
        )
        result = None
        if is_complete:
            self.folders.remove(key)  # if a kill came after the commit
            first = next(iter(found.values()))
            self._note_versions(first.versions)
            result = finished_result(
                call,
                {name: record.test_score for name, record in found.items()},
                {name: record.train_score for name, record in found.items()},
                n_test_samples=first.n_test_samples,
                fit_time=first.fit_time,
                score_time=first.score_time,
            )
        return PlannedFold(
            call=call,
            key=key,
            position=self._n_before + call.candidate,
            found=found,
            result=result,
        )

    def _require_alike(self, scores: Mapping[str, Score | None]) -> None:
        """Refuse a checkpoint whose scores are of another kind than the others."""
        for name, score in scores.items():
            first = self._first_scores.setdefault(name, score)
            require_alike(self.store.path, (first, score))

    def _records(self, fold: PlannedFold, outcome: FoldOutcome) -> list[FoldRecord]:
        assert self._scorer_keys is not None
        error = outcome.failure or outcome.died
        result = outcome.result
        test: dict[str, Score] = {}
        train: dict[str, Score] = {}
        if outcome.error is not None:
            error = error or repr(outcome.error)
        elif error is None:
            assert result is not None
            test, train = _scores_of(result, fold.call)
        result = result or {"n_test_samples": 0, "fit_time": 0.0, "score_time": 0.0}
        return [
            FoldRecord(
                key=fold.key,
                scorer=scorer,
                state=FoldState.DONE if error is None else FoldState.FAILED,
                test_score=test.get(name),
                train_score=train.get(name),
                n_test_samples=result["n_test_samples"],
                fit_time=result["fit_time"],
                score_time=result["score_time"],
                error=error,
                attempts=outcome.attempts,
                versions=outcome.versions,
                started=outcome.started,
                worker=outcome.worker,
                device=outcome.device,
            )
            for name, scorer in self._scorer_keys.items()
        ]

    def _note_versions(self, versions: dict[str, str]) -> None:
        """Warn, once for each set of versions, where they are not today's."""
        items = tuple(sorted(versions.items()))
        if items in self._old_versions:
            return
        self._old_versions.add(items)
        changes = [
            f"{name} {then} (now {now})"
            for name, then in items
            if (now := _version_now(name)) is not None and now != then
        ]
        if changes:
            warnings.warn(
                "Some of the reused folds were computed with other versions: "
                f"{', '.join(changes)}. Their scores are used as they are. To compute "
                "them again, give another 'checkpoint'.",
                VersionMixWarning,
                stacklevel=2,
            )


def _scores_of(
    result: dict[str, Any], call: FoldCall
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give test and train scores by name of the scorer."""
    _, multimetric = scorers_by_name(call.shared["scorer"])
    test, train = result["test_scores"], result.get("train_scores")
    if multimetric:
        return dict(test), dict(train or {})
    return {"score": test}, ({} if train is None else {"score": train})


def _scorer_keys(call: FoldCall) -> dict[str, str]:
    score_params = call.shared.get("score_params") or {}
    params_key = fingerprint(dict(score_params), "score parameters")
    scorers, _ = scorers_by_name(call.shared["scorer"])
    return {
        # The estimator's own score is part of its class, which the family has.
        name: "estimator.score:" + params_key
        if is_estimator_score(scorer)
        else digest(fingerprint(scorer, f"scoring['{name}']"), params_key)
        for name, scorer in scorers.items()
    }


def _loose_key(value: object) -> str:
    """Key what only identifies a search, and no score depends on."""
    try:
        return fingerprint(value)
    except FingerprintError:  # a generator of splits, a distribution of the user's
        return digest(type(value).__qualname__, summarize(value))


def _version_now(name: str) -> str | None:
    if name == "python":
        return platform.python_version()
    version = getattr(sys.modules.get(name), "__version__", None)
    if isinstance(version, str):
        return version
    for distribution in _DISTRIBUTIONS.get(name, (name,)):
        try:
            return importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None
