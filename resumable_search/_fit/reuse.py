"""What is said where folds run although the checkpoint holds some like them."""

import warnings
from collections.abc import Sequence
from pathlib import Path

from .._checkpoint.relatives import Change, nearest_relative, with_details
from .._checkpoint.store import CheckpointStore
from .._exceptions import NothingReusedWarning, UntrustedScoresWarning
from .._records import SearchRecord
from .._results import view_search
from .._texts import inert

__all__ = ["ReuseNotes", "tell_of_outdated"]

# Searches or changes in a message.
_MOST_LISTED = 10

# Changes of nothing but the data that this process was told of.
_told_of_data: set[tuple[Path | None, str, tuple[str, ...]]] = set()


class ReuseNotes:
    """Finds out what has changed since a search like this one, and says it once.

    Parameters
    ----------
    verbose : int
        0: only a search that reuses nothing says why.
    is_inner : bool
        Whether another fit runs this one.

    Attributes
    ----------
    warned_otherwise : bool
        Whether a fold was left aside since it warned, and other warnings are errors
        now. To be set by who finds that.
    """

    def __init__(self, *, verbose: int, is_inner: bool) -> None:
        self._verbose = verbose
        self._is_inner = is_inner
        self._relative: tuple[SearchRecord, list[Change]] | None = None
        self._details: dict[str, dict[str, tuple[str, str]]] = {}
        self._why_not_all = ""
        self.warned_otherwise = False

    def compare(
        self, record: SearchRecord, others: Sequence[SearchRecord], path: Path
    ) -> None:
        """Find the search in the checkpoint that is most like one that begins."""
        found = nearest_relative(record, others, is_inner=self._is_inner)
        if found is None:
            return
        other, changes = found
        if other.run == record.run and all(c.part == "data" for c in changes):
            # A loop over data sets: it is enough to hear of it once.
            told = (path, record.estimator, tuple(c.name for c in changes))
            if changes and told in _told_of_data:
                return
            _told_of_data.add(told)
        self._relative, self._details = found, record.details

    def say_why(self, store: CheckpointStore, number: int, *, is_reused: bool) -> None:
        """Say, the first time, what has changed since the search most like this one.

        Parameters
        ----------
        store : CheckpointStore
            The checkpoint.
        number : int
            Of this search in it.
        is_reused : bool
            Whether some of the folds that were looked up are there.
        """
        if self._relative is None:
            return
        other, found = self._relative
        self._relative = None
        if not found or (is_reused and not self._verbose):
            return
        old_details = store.details(other.number)
        changes = with_details(found, old_details, self._details)
        listed = "; ".join(map(inert, changes[:_MOST_LISTED]))
        if len(changes) > _MOST_LISTED:
            listed += f"; and {len(changes) - _MOST_LISTED} more"
        listed = f"since search {other.number}: {listed}"
        if is_reused:
            self._why_not_all = listed
            return
        warnings.warn(
            f"Nothing was reused. The checkpoint {store.path} holds folds of a similar "
            f"search, but these things have changed {listed}. All folds run. "
            f"'resumable-search why {store.path} {other.number} {number}' "
            "compares the two searches.",
            NothingReusedWarning,
            stacklevel=3,
        )

    def text(self, n_resumed: int, n_run: int) -> str:
        """Return how much was reused and why not the rest; "" if there is nothing."""
        if not (n_resumed and n_run):
            return ""
        why = "the others are new, or had failed"
        if self._why_not_all:
            why = f"these things have changed {self._why_not_all}"
        elif self.warned_otherwise:
            why = (
                "the others are new, had failed, or warned, and other warnings are "
                "errors now"
            )
        n_folds = n_resumed + n_run
        return f"{n_resumed} of {n_folds} folds were reused; {why}."


def tell_of_outdated(store: CheckpointStore, outdated: Sequence[SearchRecord]) -> None:
    """Warn, once in a checkpoint, of scores that are not used any more."""
    new = store.tell_of(outdated) if outdated else set()
    if not new:
        return
    numbers = sorted(new)
    n_folds = sum(
        sum(view_search(store, search).n_completed())
        for search in outdated
        if search.number in new
    )
    listed = ", ".join(map(str, numbers[:_MOST_LISTED]))
    if len(numbers) > _MOST_LISTED:
        listed += ", ..."
    what = "search" if len(numbers) == 1 else "searches"
    warnings.warn(
        f"The checkpoint {store.path} holds scores of {n_folds} folds of this "
        f"estimator (of the {what} {listed}) that an older version of "
        "resumable_search stored. It could take a changed function, fitted model "
        "or setting for an unchanged one, so these scores cannot be trusted any "
        "more. They are not used: the folds of this search run again. To read the "
        f"old scores, run 'resumable-search results {store.path} --search "
        f"{numbers[0]}'; to delete them, 'resumable-search prune {store.path} "
        "--outdated'. This is said once.",
        UntrustedScoresWarning,
        stacklevel=2,
    )
