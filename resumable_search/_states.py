"""Whether somebody works on a search, and how that is said."""

from enum import StrEnum

from ._checkpoint.locks import LockHolder
from ._records import LiveStatus
from ._texts import day_and_time

__all__ = ["State", "state_of", "state_text"]


class State(StrEnum):
    """Whether somebody works on a search."""

    RUNNING = "running"

    FINISHED = "finished"
    """Every fold has been tried; those that failed are tried again by the next fit."""

    DIED = "died"
    """Its process was killed, or the machine went down."""

    STOPPED = "stopped"
    """Its process ended it before every fold was tried."""


def state_of(
    holder: LockHolder | None, live: LiveStatus | None, *, is_tried: bool
) -> State:
    """Tell the state of a search; `is_tried`: whether each fold has been tried."""
    if holder is not None:
        return State.RUNNING if holder.is_running else State.DIED
    if live is not None:  # on another machine that shares no locks
        return State.RUNNING
    return State.FINISHED if is_tried else State.STOPPED


def state_text(
    state: State,
    who: LockHolder | LiveStatus | None,
    *,
    started: float | None,
    n_failed: int,
) -> str:
    """Tell a state in a few words, the first of which is its name."""
    process = f"process {who.pid} on {who.host}" if who else ""
    since = day_and_time(started)
    if state is State.RUNNING:
        return f"running since {since}, {process}"
    if state is State.DIED:
        return f"died ({process}, started {since}); fit it again to go on"
    if state is State.FINISHED:
        again = "; fit it again to try the failed folds again" if n_failed else ""
        return f"finished{again}"
    return f"stopped before its end (started {since}); fit it again to go on"
