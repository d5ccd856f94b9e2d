"""What is to be done with workers, and what that changes in their slots."""

from .events import (
    Action,
    End,
    EndSuccessor,
    GiveUp,
    Renew,
    Send,
    Start,
    StartSuccessor,
    Succeed,
)
from .messages import Recall, RunFold, WorkerStatus
from .slots import Attempt, Moment, Occupied, Slot, Successor

__all__ = ["Orders"]

_MOST_FAILED_SUCCESSORS = 3


class Orders:
    """Collects actions, in their order."""

    def __init__(self) -> None:
        self._actions: list[Action] = []

    def taken(self) -> list[Action]:
        """Return what is to be done, once."""
        actions, self._actions = self._actions, []
        return actions

    def start(self, slot: Slot) -> None:
        """Start a worker."""
        slot.occupy(Occupied.ASKED)
        self._actions.append(Start(slot))

    def end(self, slot: Slot) -> None:
        """End the worker and its successor, and forget what they were given."""
        if slot.is_occupied:
            self._actions.append(End(slot, was_busy=bool(slot.given)))
        slot.leave()

    def give_up(self, slot: Slot, ending: str) -> None:
        """End the worker; that it has ended comes back as an event."""
        self._actions.append(GiveUp(slot, ending))

    def give(self, slot: Slot, attempt: Attempt, now: Moment) -> None:
        """Hand a fold to the worker."""
        slot.given.append(attempt)
        if len(slot.given) == 1:
            slot.note_begin(now)
        self._actions.append(Send(slot, RunFold(attempt.task)))

    def recall(self, slot: Slot) -> None:
        """Ask the worker to give back what it has not begun."""
        if slot.is_running and len(slot.given) > 1 and not slot.recalled:
            slot.recalled = True
            self._actions.append(Send(slot, Recall()))

    def renew(self, slot: Slot) -> None:
        """Have the next worker import everything anew."""
        self._actions.append(Renew(slot))

    def start_successor(self, slot: Slot, status: WorkerStatus) -> None:
        """Start a successor of a worn worker, unless they do not come up."""
        is_possible = (
            slot.successor is Successor.NONE
            and slot.n_failed_successors < _MOST_FAILED_SUCCESSORS
        )
        if is_possible and slot.is_worn(status):
            slot.successor = Successor.ASKED
            self._actions.append(StartSuccessor(slot, status.frameworks))

    def lose_successor(self, slot: Slot) -> None:
        """Do without a successor; the worker goes on."""
        # A warm one ended for want of work: the worker's fold takes long.
        slot.n_failed_successors += slot.successor is not Successor.WARM
        slot.successor = Successor.NONE
        self._actions.append(EndSuccessor(slot))

    def succeed(self, slot: Slot) -> None:
        """Let the successor take the place, once it is warm and the worker idle."""
        if slot.successor is Successor.WARM:
            self.recall(slot)
            if not slot.given:
                slot.occupy(Occupied.BEGUN)
                self._actions.append(Succeed(slot))
