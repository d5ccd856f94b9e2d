"""Candidates as trials of Optuna, for its dashboard to read."""

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NoReturn

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from .._records import CandidateRecord, FoldRecord
from .._results import SearchView
from .._texts import inert
from .follower import Snapshot
from .readings import fold_score, headline, is_unchanged, mean_score

__all__ = ["ReadOnlyStorage", "distributions", "trials"]


class ReadOnlyStorage(InMemoryStorage):
    """One study, whose trials are given to it. Nothing can be changed through it.

    Parameters
    ----------
    name : str
        Name of the study.
    metric : str
        What its scores are called.
    """

    def __init__(self, name: str, metric: str) -> None:
        super().__init__()
        self._trials: list[FrozenTrial] = []
        # The study's scores are compared as scikit-learn does: more is better.
        self.study = super().create_new_study([StudyDirection.MAXIMIZE], name)
        # As Study.set_metric_names keeps it, which would be refused.
        super().set_study_system_attr(self.study, "study:metric_names", [metric])

    def replace(self, trials: list[FrozenTrial]) -> None:
        """Show these trials."""
        self._trials = trials

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,  # noqa: ARG002 - nobody changes them
        states: Any = None,
    ) -> list[FrozenTrial]:
        """Return the trials, or those in the given states."""
        self._check_known(study_id == self.study)
        return [t for t in self._trials if states is None or t.state in states]

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """Return a trial."""
        self._check_known(0 <= trial_id < len(self._trials))
        return self._trials[trial_id]

    def get_best_trial(self, study_id: int) -> FrozenTrial:
        """Return the first of the trials with the highest score."""
        done = self.get_all_trials(study_id, states=(TrialState.COMPLETE,))
        if not done:
            raise ValueError("No trials are completed yet.")
        return max(done, key=lambda trial: trial.value or 0.0)

    def get_n_trials(self, study_id: int, state: Any = None) -> int:
        """Return the number of trials."""
        states = (state,) if isinstance(state, TrialState) else state
        return len(self.get_all_trials(study_id, states=states))

    @staticmethod
    def _check_known(is_known: bool) -> None:
        if not is_known:
            raise KeyError("There is no such study or trial.")


def _refuse(*_: Any, **__: Any) -> NoReturn:
    raise RuntimeError("A checkpoint is only read here.")


# What else a storage can do. Requests to do it are refused before they come here.
for _name in (
    "create_new_study",
    "create_new_trial",
    "delete_study",
    "set_study_system_attr",
    "set_study_user_attr",
    "set_trial_intermediate_value",
    "set_trial_param",
    "set_trial_state_values",
    "set_trial_system_attr",
    "set_trial_user_attr",
):
    setattr(ReadOnlyStorage, _name, _refuse)


def distributions(
    candidates: Sequence[CandidateRecord],
) -> dict[str, BaseDistribution]:
    """Give, for each parameter, from where its values seem to come."""
    values: dict[str, dict[str, Any]] = {}
    for candidate in candidates:
        for name, value in candidate.values().items():
            known = _value(value)
            values.setdefault(inert(name), {})[repr(known)] = known
    return {name: _distribution(list(v.values())) for name, v in values.items()}


def _distribution(values: list[Any]) -> BaseDistribution:
    kinds = {type(value) for value in values}
    if not kinds <= {int, float}:
        return CategoricalDistribution(values)
    low, high = min(values), max(values)
    is_log = low > 0 and high >= 100 * low
    if kinds == {int}:
        return IntDistribution(low, high, log=is_log)
    return FloatDistribution(float(low), float(high), log=is_log)


def _value(value: Any) -> Any:
    """Return a value that a distribution can hold."""
    is_number = isinstance(value, float | int)
    if is_number and not isinstance(value, bool):
        # Larger integers would not be the same as numbers of JavaScript.
        return value if math.isfinite(value) and abs(value) < 2**53 else str(value)
    return inert(value) if isinstance(value, str) else value


def trials(
    snapshot: Snapshot,
    found: dict[str, BaseDistribution],
    known: tuple[SearchView, list[FrozenTrial]] | None = None,
) -> list[FrozenTrial]:
    """Return each candidate as a trial.

    Parameters
    ----------
    snapshot : Snapshot
        With a view.
    found : dict of str to BaseDistribution
        Of the parameters.
    known : tuple of SearchView and list of FrozenTrial, or None
        Complete trials with the same distributions, to take over.
    """
    last, trials_then = known or (None, [])
    view, status = snapshot.view, snapshot.status
    assert view is not None
    busy = {worker.candidate for worker in status.workers} if status else set()
    return [
        trials_then[number]
        if is_unchanged(view, last, number)
        and trials_then[number].state is TrialState.COMPLETE
        else _trial(view, number, found, _state(view, number, busy, status is not None))
        for number in range(len(view.candidates))
    ]


def _state(
    view: SearchView, number: int, busy: set[int | None], is_live: bool
) -> TrialState:
    folds = view.folds[number]
    n_done = sum(map(view.is_done, folds))
    n_failed = sum(
        any(record.state == "failed" for record in (fold or {}).values())
        for fold in folds
    )
    if n_done == len(folds):
        mean = mean_score([fold_score(view, fold) for fold in folds])
        # Optuna knows no trial that is complete and has no number.
        return TrialState.FAIL if mean is None else TrialState.COMPLETE
    n_left = len(folds) - n_done - n_failed
    # Between two of its folds it runs too.
    if number in busy or (is_live and n_left and n_left < len(folds)):
        return TrialState.RUNNING
    return TrialState.FAIL if n_failed else TrialState.WAITING


def _trial(
    view: SearchView,
    number: int,
    found: dict[str, BaseDistribution],
    state: TrialState,
) -> FrozenTrial:
    folds = view.folds[number]
    scores = [fold_score(view, fold) for fold in folds]
    records = [record for fold in folds for record in (fold or {}).values()]
    began = min((r.started for r in records if r.started is not None), default=None)
    ended = max((r.finished for r in records if r.finished is not None), default=None)
    named = view.candidates[number].values().items()
    values = {inert(name): _value(value) for name, value in named}
    return FrozenTrial(
        number=number,
        trial_id=number,
        state=state,
        value=mean_score(scores) if state is TrialState.COMPLETE else None,
        datetime_start=_date(began),
        datetime_complete=_date(ended) if state.is_finished() else None,
        params={
            name: float(value) if isinstance(found[name], FloatDistribution) else value
            for name, value in values.items()
        },
        distributions={name: found[name] for name in values},
        user_attrs=_notes(view, folds, records),
        system_attrs={},
        intermediate_values={
            split: score for split, score in enumerate(scores) if score is not None
        },
    )


def _notes(
    view: SearchView,
    folds: list[dict[str, FoldRecord] | None],
    records: list[FoldRecord],
) -> dict[str, Any]:
    notes: dict[str, Any] = {"finished folds": sum(map(view.is_done, folds))}
    done = [next(iter(fold.values())) for fold in folds if fold and view.is_done(fold)]
    if done:
        notes["mean fit time (s)"] = round(
            sum(record.fit_time for record in done) / len(done), 3
        )
    errors = [record.error for record in records if record.error]
    if errors:
        notes["error"] = headline(errors[-1])
    return notes


def _date(seconds: float | None) -> datetime | None:
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds)  # Optuna's are local and naive
    except (OverflowError, ValueError, OSError):
        return None
