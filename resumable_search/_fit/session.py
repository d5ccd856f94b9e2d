"""A search and its checkpoint: what is there, what is new, what came of it."""

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import _warning_filters
from .._checkpoint.errors import damaged
from .._checkpoint.fold_folders import FoldFolders
from .._checkpoint.locations import resolve_checkpoint
from .._checkpoint.locks import SearchLock
from .._checkpoint.reader import CheckpointReader
from .._checkpoint.relatives import (
    outdated_relatives,
)
from .._checkpoint.rows import require_alike
from .._checkpoint.status_files import remove_status, write_status
from .._checkpoint.store import CheckpointStore
from .._exceptions import (
    WorkerError,
)
from .._keys.digests import digest
from .._records import (
    FoldOutcome,
    FoldRecord,
    LiveStatus,
    Resumption,
    Score,
)
from .._results import SearchView, choose_search, view_search
from .._sklearn_compat.calls import FoldCall
from .._sklearn_compat.results import finished_result
from .declared import require_same_data
from .details import details_of
from .keys import SearchKeys
from .random_states import another_state, base_seed, is_state
from .reuse import ReuseNotes, tell_of_outdated
from .scores import records_of, scores_of
from .versions import OldVersions

__all__ = ["PlannedFold", "SearchSession"]

_log = logging.getLogger(__name__)


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
        self._checkpoint = checkpoint
        self._metric = metric
        self._store: CheckpointStore | None = None
        self._lock: SearchLock | None = None
        self._key = ""
        self._search_number = 0
        # The name is of all the data; another fit hands on parts of it, or more.
        self._keys = SearchKeys(search, X, y, None if is_inner else search.data_key)
        self._resumes = search.resume
        self._reuse = ReuseNotes(verbose=search.verbose, is_inner=is_inner)
        self._error_filters = _warning_filters.error_filters(_warning_filters.current())
        # Folds that this fit has run, where those of before do not count.
        self._renewed: set[str] = set()
        # Folds and refits whose saved files of before are gone then.
        self._cleared: set[str] = set()
        self._drawn: set[str] = set()
        self._first_scores: dict[str, Score | None] = {}
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
        """Return the directory of the refit with these parameters."""
        key = self._keys.of_refit(parameters)
        folder = self.folders.of(key)
        if not self._resumes and key not in self._cleared:
            self._cleared.add(key)
            self.folders.remove_now(folder)
        return folder

    def resumption(self) -> Resumption:
        """Return an account of the fit."""
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
        """Return what the checkpoint has of this search, when it is closed again."""
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
        """Return the state that `source` drew from first, or keep `state` for it."""
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
        """Return the parameters that say which candidates there are."""
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
        is_reused = any(fold.result is not None for fold in planned)
        self._reuse.say_why(self.store, self._search_number, is_reused=is_reused)
        return planned

    def reuse_text(self) -> str:
        """Return how much was reused and why not the rest; "" if there is nothing."""
        return self._reuse.text(self.n_resumed, self._n_run)

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
            if len(found[key]) < len(records):
                self._reuse.warned_otherwise = True
        return found

    def save(self, outcomes: Sequence[tuple[PlannedFold, FoldOutcome]]) -> None:
        """Store what came of folds. They are on the disk when this returns."""
        records: list[FoldRecord] = []
        for fold, outcome in outcomes:
            if outcome.cancelled:
                continue
            self._n_run += 1
            self._n_failed += outcome.failure is not None or outcome.result is None
            records += records_of(
                outcome,
                fold.call,
                fold.key,
                self._keys.scorers,
                versions=self._keys.versions(),
                error_filters=self._error_filters,
            )
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
        test, train = scores_of(result, fold.call)
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
            self._reuse.compare(record, others, self.path)
        self._search_number = self.store.register(record)
        tell_of_outdated(self.store, outdated_relatives(record, others))

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
