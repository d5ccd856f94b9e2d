"""What came of a fold, said so that the user knows what to do."""

import pickle
from typing import Any

from .._exceptions import FoldTimeoutError, WorkerDiedError, WorkerError
from .._records import FoldOutcome
from .messages import Exited, OtherCode, Raised, Scored, SentError
from .slots import Attempt, Slot

__all__ = [
    "all_of_a_device",
    "cancelled",
    "contents",
    "died",
    "differs",
    "exit_message",
    "exited",
    "finished",
    "timed_out",
]


def _outcome(slot: Slot, attempt: Attempt, **content: Any) -> FoldOutcome:
    """Return what came of a try, with where and when that was."""
    device = slot.plan.device
    return FoldOutcome(
        task_id=attempt.task.task_id,
        attempts=attempt.number,
        started=attempt.started,
        worker=slot.number,
        device=None if device is None else device.uuid,
        **content,
    )


def finished(
    slot: Slot, attempt: Attempt, answer: Scored | Raised, out_of_memory: str | None
) -> FoldOutcome:
    """Return the result of a fold, or what it raised."""
    return _outcome(slot, attempt, **contents(answer), out_of_memory=out_of_memory)


def all_of_a_device(slot: Slot) -> str:
    """Say which GPU was not enough for a fold that had it for itself."""
    device, plan = slot.plan.device, slot.plan
    assert device is not None
    return (
        f"{device.name} ({device.uuid}), with {plan.share / 1e9:.1f} of its "
        f"{plan.total / 1e9:.1f} GB"
    )


def contents(answer: Scored | Raised) -> dict[str, Any]:
    """Return the fields of an outcome that come from the fold itself."""
    if isinstance(answer, Raised):
        return {"error": _received(answer), "warnings": answer.warnings}
    return {
        "result": answer.result,  # which may be that its fit or a scorer failed
        "failure": answer.failure,
        "warnings": answer.warnings,
        "warned": answer.warned,
        "versions": answer.versions,
    }


def cancelled(attempt: Attempt) -> FoldOutcome:
    """Say that a fold is not going to run."""
    return FoldOutcome(task_id=attempt.task.task_id, cancelled=True)


def died(slot: Slot, attempt: Attempt, ending: str) -> FoldOutcome:
    """Say how the worker of a fold ended, for the last time."""
    tries = f"{attempt.number} {'try' if attempt.number == 1 else 'tries'}"
    text = (
        f"The worker process that ran this fold {ending} ({tries}). Likely causes: "
        "out of memory (see the kernel's log), or a crash in compiled code. "
        "Whatever it printed before is on standard error."
    )
    return _outcome(slot, attempt, error=WorkerDiedError(text), died=text)


def exited(slot: Slot, attempt: Attempt, answer: Exited) -> FoldOutcome:
    """Say that a fold wanted its process to end."""
    message = exit_message(answer)
    return _outcome(slot, attempt, error=WorkerDiedError(message), died=message)


def exit_message(answer: Exited) -> str:
    """Return what is said of a fold that called ``sys.exit``."""
    return (
        f"The fold called sys.exit({answer.code}). An estimator or scorer that cannot "
        f"go on has to raise an exception instead.\n\n{answer.text}"
    )


def timed_out(slot: Slot, attempt: Attempt, seconds: float) -> FoldOutcome:
    """Say that a fold took too long and was stopped."""
    message = (
        f"The fold was stopped after {seconds:g} seconds (fold_timeout={seconds:g}). "
        "Other folds are not affected. If it only needs more time, raise "
        "'fold_timeout': the next fit tries it again. If it hangs, take the candidate "
        "out of the search."
    )
    return _outcome(slot, attempt, error=FoldTimeoutError(message), died=message)


def differs(slot: Slot, attempt: Attempt, answer: OtherCode) -> FoldOutcome:
    """Say that a worker would run other code than its parent has keyed."""
    return _outcome(
        slot,
        attempt,
        error=WorkerError(
            "A worker, which imports your modules from their files, would run other "
            f"code than this process has: {answer.text}. Its score would be stored as "
            "that of the code here, so the fold was not stored; nothing that is "
            "already computed is lost. Likely cause: the file has changed since this "
            "process imported it, or the script has set what a worker cannot be sent. "
            "Start the script again, or reload the module in a notebook, and call fit "
            "again. Hand over what the script sets as a parameter of the estimator."
        ),
    )


class _RemoteTraceback(Exception):  # noqa: N818 - shown, never raised
    """Shows where in the worker an exception was raised."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f'\n"""\n{self.text}"""'


def _received(answer: Raised) -> BaseException:
    """Return the exception of a fold, as it is or as a worker has sent it."""
    if not isinstance(answer.error, SentError):
        return answer.error
    error: BaseException
    try:
        error = pickle.loads(answer.error.pickled)  # noqa: S301 - our worker
    except Exception:
        error = WorkerError(
            "A fold raised an exception that could not be sent: "
            f"{answer.error.description}"
        )
    error.__cause__ = _RemoteTraceback(answer.text)
    return error
