"""A search and its checkpoint: what is there, what is new, what came of it."""

import dataclasses
import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import _warning_filters
from ._checkpoint.errors import damaged
from ._checkpoint.fold_folders import FoldFolders
from ._checkpoint.locations import resolve_checkpoint
from ._checkpoint.locks import SearchLock
from ._checkpoint.reader import CheckpointReader
from ._checkpoint.relatives import (
    Change,
    nearest_relative,
    outdated_relatives,
    with_details,
)
from ._checkpoint.rows import require_alike
from ._checkpoint.status_files import remove_status, write_status
from ._checkpoint.store import CheckpointStore
from ._declared import require_same_data
from ._details import details_of
from ._exceptions import (
    NothingReusedWarning,
    UntrustedScoresWarning,
    WorkerError,
)
from ._keys.digests import digest
from ._random_states import another_state, base_seed, is_state
from ._records import (
    FoldOutcome,
    FoldRecord,
    FoldState,
    LiveStatus,
    Resumption,
    Score,
    SearchRecord,
)
from ._results import SearchView, choose_search, view_search
from ._search_keys import SearchKeys
from ._sklearn_compat.calls import FoldCall
from ._sklearn_compat.estimators import scorers_by_name
from ._sklearn_compat.results import finished_result
from ._texts import inert
from ._versions import OldVersions

__all__ = ["PlannedFold", "SearchSession"]

_log = logging.getLogger(__name__)

# Searches or changes in a message.
_MOST_LISTED = 10

# Changes of nothing but the data that this process was told of.
_told_of_data: set[tuple[Path | None, str, tuple[str, ...]]] = set()


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedFold:
    """A fold and what the checkpoint has of it."""

    call: FoldCall
    key: str
    split_key: str
    """Of the train and test indices."""
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
    is_inner : bool
        Whether another fit runs this one.
    """

    def __init__(
        self,
        search: Any,
        X: Any,
        y: Any,
        checkpoint: Any,
        metric: str = "score",
        *,
        is_inner: bool = False,
    ) -> None:
        self._is_inner = is_inner
        self._verbose = search.verbose
        self._checkpoint = checkpoint
        self._metric = metric
        self._store: CheckpointStore | None = None
        self._lock: SearchLock | None = None
        self._key = ""
        self._search_number = 0
        # The name is of all the data; another fit hands on parts of it, or more.
        self._keys = SearchKeys(search, X, y, None if is_inner else search.data_key)
        self._resumes = search.resume
        self._warned_otherwise = False
        self._error_filters = _warning_filters.error_filters(_warning_filters.current())
        # Folds that this fit has run, where those of before do not count.
        self._renewed: set[str] = set()
        # Folds and refits whose saved files of before are gone then.
        self._cleared: set[str] = set()
        self._drawn: set[str] = set()
        self._first_scores: dict[str, Score | None] = {}
        self._relative: tuple[SearchRecord, list[Change]] | None = None
        self._details: dict[str, dict[str, tuple[str, str]]] = {}
        self._why_not_all = ""
        self._old_versions = OldVersions()
        self.path: Path | None = None
        self._folders: FoldFolders | None = None
        self.n_resumed = self.n_left_out = 0
        self._n_run = self._n_failed = 0
        self._base_seed: int | None = None

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
        key = self._keys.of_refit(parameters)
        folder = self.folders.of(key)
        if not self._resumes and key not in self._cleared:
            self._cleared.add(key)
            self.folders.remove_now(folder)
        return folder

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
        key = self._keys.of_random_state(what, source)
        recorded = self.store.random_state(key)
        if not self._resumes and key not in self._drawn:
            self._drawn.add(key)
            if recorded is not None and source is None:
                # Nothing may have drawn from the global state since then.
                state = another_state(recorded, state)
            self.store.save_random_state(key, state, replace=True)
            return None
        if recorded is None:
            self.store.save_random_state(key, state)
        elif not is_state(recorded):
            raise damaged(
                self.store.path, "in the table 'random_states': that is no state"
            )
        return recorded

    def seed_of(self, key: str) -> int:
        """Return the seed of the global random generators in the fold with this key.

        The same in each try of the fold, in whichever order and process folds run.
        """
        if self._base_seed is None:
            self._base_seed = base_seed(
                lambda state: self.recall_random_state("folds", None, state)
            )
        return int(digest(str(self._base_seed), key)[:8], 16)

    # ------------------------------------------------------------------
    # Folds

    @property
    def same_folds(self) -> str:
        """Digest of what decides which folds a candidate has."""
        return self._keys.same_folds

    def space(self) -> dict[str, Any]:
        """Give the parameters that say which candidates there are."""
        return self._keys.space()

    def plan(self, calls: Sequence[FoldCall]) -> list[PlannedFold]:
        """Look folds up."""
        if self._lock is None:
            self._begin(calls[0])
        keys, candidates, splits = self._keys.of_folds(calls)
        if candidates or splits:
            n_candidates = self._keys.n_candidates
            self.store.describe(self._search_number, candidates, splits, n_candidates)
        stored = self._find({key for key, _ in keys})
        planned = [
            self._plan(call, key, split_key, stored.get(key, {}))
            for call, (key, split_key) in zip(calls, keys, strict=True)
        ]
        if self._relative is not None:
            self._say_why(any(fold.result is not None for fold in planned))
        return planned

    def _say_why(self, is_reused: bool) -> None:
        """Say what has changed since the search that is most like this one."""
        assert self._relative is not None
        other, found = self._relative
        self._relative = None
        if not found or (is_reused and not self._verbose):
            return
        old_details = self.store.details(other.number)
        changes = with_details(found, old_details, self._details)
        listed = "; ".join(map(inert, changes[:_MOST_LISTED]))
        if len(changes) > _MOST_LISTED:
            listed += f"; and {len(changes) - _MOST_LISTED} more"
        listed = f"since search {other.number}: {listed}"
        if is_reused:
            self._why_not_all = listed
            return
        warnings.warn(
            f"Nothing was reused. The checkpoint {self.path} holds folds of a similar "
            f"search, but these things have changed {listed}. All folds run. "
            f"'resumable-search why {self.path} {other.number} {self._search_number}' "
            "compares the two searches.",
            NothingReusedWarning,
            stacklevel=3,
        )

    def reuse_text(self) -> str:
        """Say how much was reused and why not the rest; "" if there is nothing to."""
        if not (self.n_resumed and self._n_run):
            return ""
        why = "the others are new, or had failed"
        if self._why_not_all:
            why = f"these things have changed {self._why_not_all}"
        elif self._warned_otherwise:
            why = (
                "the others are new, had failed, or warned, and other warnings are "
                "errors now"
            )
        n_folds = self.n_resumed + self._n_run
        return f"{self.n_resumed} of {n_folds} folds were reused; {why}."

    def _find(self, keys: set[str]) -> dict[str, dict[str, FoldRecord]]:
        """Return what may be reused of folds: key -> scorer -> record."""
        if not self._resumes:
            for key in keys - self._cleared:
                # What a killed fit has saved in the middle of it.
                self.folders.remove(key)
            self._cleared |= keys
            keys = keys & self._renewed
        found: dict[str, dict[str, FoldRecord]] = {}
        for key, records in self.store.find(keys).items():
            found[key] = {
                scorer: record
                for scorer, record in records.items()
                if record.holds_under(self._error_filters)
            }
            self._warned_otherwise |= len(found[key]) < len(records)
        return found

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
            self.store.save(records, replace=not self._resumes)
            self._renewed.update(record.key for record in records)
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
        """Take the search's lock, and note that it starts."""
        record = self._keys.of_search(call, self._metric)
        assert self.path is not None
        lock = SearchLock(self.path, record.key)
        lock.acquire()
        self._lock, self._key = lock, record.key
        others = self.store.searches()
        record = dataclasses.replace(record, details=details_of(call))
        require_same_data(record, others, self.store.details)
        if self._resumes:
            self._find_relative(record, others)
        self._search_number = self.store.register(record)
        self._tell_of_outdated(outdated_relatives(record, others))

    def _find_relative(
        self, record: SearchRecord, others: Sequence[SearchRecord]
    ) -> None:
        found = nearest_relative(record, others, is_inner=self._is_inner)
        if found is None:
            return
        other, changes = found
        if other.run == record.run and all(c.part == "data" for c in changes):
            # A loop over data sets: it is enough to hear of it once.
            told = (self.path, record.estimator, tuple(c.name for c in changes))
            if changes and told in _told_of_data:
                return
            _told_of_data.add(told)
        self._relative, self._details = found, record.details

    def _tell_of_outdated(self, outdated: Sequence[SearchRecord]) -> None:
        """Warn, once in a checkpoint, of scores that are not used any more."""
        new = self.store.tell_of(outdated) if outdated else set()
        if not new:
            return
        numbers = sorted(new)
        n_folds = sum(
            sum(view_search(self.store, search).n_completed())
            for search in outdated
            if search.number in new
        )
        listed = ", ".join(map(str, numbers[:_MOST_LISTED]))
        if len(numbers) > _MOST_LISTED:
            listed += ", ..."
        what = "search" if len(numbers) == 1 else "searches"
        warnings.warn(
            f"The checkpoint {self.path} holds scores of {n_folds} folds of this "
            f"estimator (of the {what} {listed}) that an older version of "
            "resumable_search stored. It could take a changed function, fitted model "
            "or setting for an unchanged one, so these scores cannot be trusted any "
            "more. They are not used: the folds of this search run again. To read the "
            f"old scores, run 'resumable-search results {self.path} --search "
            f"{numbers[0]}'; to delete them, 'resumable-search prune {self.path} "
            "--outdated'. This is said once.",
            UntrustedScoresWarning,
            stacklevel=2,
        )

    def _plan(
        self,
        call: FoldCall,
        key: str,
        split_key: str,
        stored: Mapping[str, FoldRecord],
    ) -> PlannedFold:
        found = {
            name: stored[scorer]
            for name, scorer in self._keys.scorers.items()
            if scorer in stored
        }
        self._require_alike({n: record.test_score for n, record in found.items()})
        is_complete = len(found) == len(self._keys.scorers) and not (
            call.return_train_score
            and any(record.train_score is None for record in found.values())
        )
        result = None
        if is_complete:
            self.folders.remove(key)  # if a kill came after the commit
            first = next(iter(found.values()))
            self._old_versions.note(first.versions)
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
            split_key=split_key,
            position=self._keys.position(call),
            found=found,
            result=result,
        )

    def _require_alike(self, scores: Mapping[str, Score | None]) -> None:
        """Refuse a checkpoint whose scores are of another kind than the others."""
        for name, score in scores.items():
            first = self._first_scores.setdefault(name, score)
            require_alike(self.store.path, (first, score))

    def _records(self, fold: PlannedFold, outcome: FoldOutcome) -> list[FoldRecord]:
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
                versions={**self._keys.versions(), **outcome.versions},
                started=outcome.started,
                worker=outcome.worker,
                device=outcome.device,
                warned=outcome.warned,
                error_filters=self._error_filters,
            )
            for name, scorer in self._keys.scorers.items()
        ]


def _scores_of(
    result: dict[str, Any], call: FoldCall
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give test and train scores by name of the scorer."""
    _, multimetric = scorers_by_name(call.shared["scorer"])
    test, train = result["test_scores"], result.get("train_scores")
    if multimetric:
        return dict(test), dict(train or {})
    return {"score": test}, ({} if train is None else {"score": train})
