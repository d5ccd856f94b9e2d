"""What happens to workers, and what is to be done with them. All of it plain values."""

from dataclasses import dataclass

from .._records import EpochEvent
from .messages import FoldAnswer, ToWorker, WorkerStatus
from .slots import Slot

__all__ = [
    "Action",
    "Answered",
    "Began",
    "End",
    "EndSuccessor",
    "Ended",
    "EpochEnded",
    "Event",
    "GiveUp",
    "Left",
    "NotStarted",
    "Recalled",
    "Renew",
    "Send",
    "Start",
    "StartSuccessor",
    "Started",
    "Succeed",
    "SuccessorBegan",
    "SuccessorEnded",
    "SuccessorStarted",
    "SuccessorWarm",
]

# ----------------------------------------------------------------------
# What has happened


@dataclass(frozen=True)
class Event:
    """Something has happened in a slot."""

    slot: Slot


class Started(Event):
    """The worker that was asked for is there."""


@dataclass(frozen=True)
class NotStarted(Event):
    """It could not be started."""

    error: OSError


class Began(Event):
    """The worker has come to its begin."""


@dataclass(frozen=True)
class EpochEnded(Event):
    """A fit in the fold that runs has finished an epoch."""

    task_id: int
    event: EpochEvent


@dataclass(frozen=True)
class Recalled(Event):
    """The worker has given back folds that it has not begun."""

    task_ids: frozenset[int]


@dataclass(frozen=True)
class Answered(Event):
    """A fold has come to an end."""

    task_id: int
    answer: FoldAnswer
    status: WorkerStatus


class Left(Event):
    """The worker says that it runs no fold any more."""


@dataclass(frozen=True)
class Ended(Event):
    """The worker's process has ended."""

    ending: str
    """How, as a part of a sentence."""
    aborted: bool = False
    """Whether it was by SIGABRT, as libraries do that find no memory on a GPU."""


class SuccessorStarted(Event):
    """The successor that was asked for is there."""


class SuccessorBegan(Event):
    """It has come to its begin."""


class SuccessorWarm(Event):
    """It has imported what it is to import."""


class SuccessorEnded(Event):
    """It has ended, or could not be started."""


# ----------------------------------------------------------------------
# What is to be done


@dataclass(frozen=True)
class Action:
    """Do something in a slot."""

    slot: Slot


class Start(Action):
    """Start a worker."""


@dataclass(frozen=True)
class End(Action):
    """End the worker and its successor at once."""

    was_busy: bool = False


@dataclass(frozen=True)
class GiveUp(Action):
    """End the worker, and tell that it has ended, and how."""

    ending: str


@dataclass(frozen=True)
class Send(Action):
    """Send the worker a message."""

    message: ToWorker


@dataclass(frozen=True)
class StartSuccessor(Action):
    """Start a successor, and have it import frameworks."""

    frameworks: tuple[str, ...]


class EndSuccessor(Action):
    """End the successor at once."""


class Succeed(Action):
    """End the worker; its successor takes the place."""


class Renew(Action):
    """Have the next worker import everything anew."""
