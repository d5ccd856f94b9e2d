"""The workers of a search: start, feed, watch, replace.

The pool has no thread of its own. Whoever needs results calls `WorkerPool.wait`,
which feeds idle workers, relays what they print, collects what they finished and
replaces those that died. So everything that happens to a search in the parent
happens in the thread that called ``fit``.

===========================  =============================================
a worker                     what follows
===========================  =============================================
dies while it runs a fold    that fold is tried again in a new worker, at
                             most ``max_retries`` times; then it is failed,
                             with how the worker ended
aborts on a shared GPU       likewise, alone on the GPU: libraries abort
                             when they find no memory there
dies with folds queued       they go back to the queue, uncharged
ends for want of work        likewise; a new one starts when needed
dies before its first fold   three times in a row: `WorkerStartError`
has imported older code      it is replaced, the fold is not charged
runs out of GPU memory       it is ended, and its fold tried again alone on
                             the GPU, uncharged; if that is not enough
                             either, the fold is failed
loses its MPS daemon         all folds on that GPU are tried again, alone
                             and uncharged
has run many folds           a successor takes its place between two folds
===========================  =============================================
"""

import collections
import os
import pickle
import signal
import time
from collections.abc import Mapping, Sequence
from multiprocessing.connection import wait as wait_for_any
from typing import Any

from .._exceptions import WorkerDiedError, WorkerError, WorkerStartError
from .._frameworks.hooks import environment as framework_environment
from .._frameworks.hooks import is_out_of_memory
from .._gpu.devices import Device, SlotPlan, alone
from .._gpu.mps import MpsDaemon, is_shared_fault
from .._records import FoldOutcome, FoldTask
from .process import WorkerProcess
from .slots import Attempt, SharedDevice, Slot

__all__ = ["WorkerPool"]

#: A worker gets this many seconds of work ahead, so that it does not wait for the
#: parent while that commits. Folds that take longer are handed out one at a time.
_SECONDS_AHEAD = 0.02
_MOST_AHEAD = 32

_MOST_FAILED_STARTS = 3

# Seconds between looks at processes on systems that cannot wait for their end.
_LONGEST_WAIT = 1.0


class WorkerPool:
    """Workers that run folds.

    Parameters
    ----------
    plans : sequence of SlotPlan
        One for each worker.
    environment : mapping of str to str
        Added to the environment of this process for the workers.
    daemons : mapping of Device to MpsDaemon
        Where the workers on a GPU are to be attached. They end with the pool.
    """

    def __init__(
        self,
        plans: Sequence[SlotPlan],
        environment: Mapping[str, str],
        daemons: Mapping[Device, MpsDaemon] | None = None,
    ) -> None:
        self.max_retries = 1
        self.uses_daemons = bool(daemons)
        self._queue: collections.deque[Attempt] = collections.deque()
        self._slots: list[Slot] = []
        self._shared: dict[Device, SharedDevice] = {}
        self._outcomes: list[FoldOutcome] = []
        self._fold_seconds: float | None = None
        self._failed_starts = 0
        self._set_up(plans, environment, daemons or {})

    def _set_up(
        self,
        plans: Sequence[SlotPlan],
        environment: Mapping[str, str],
        daemons: Mapping[Device, MpsDaemon],
    ) -> None:
        def slot_for(
            plan: SlotPlan, number: int, daemon: MpsDaemon | None = None
        ) -> Slot:
            variables = {**environment, **framework_environment(plan, os.environ)}
            if daemon is not None:
                n_slots = sum(other.device == plan.device for other in plans)
                variables.update(daemon.client_environment(n_slots, plan.budget))
            return Slot(plan, variables, daemon, number)

        for number, plan in enumerate(plans):
            daemon = daemons.get(plan.device)  # type: ignore[arg-type]
            self._slots.append(slot_for(plan, number, daemon))
        for device in dict.fromkeys(plan.device for plan in plans):
            if device is None:
                continue
            slots = [slot for slot in self._slots if slot.plan.device == device]
            # It takes the place of the first one there.
            whole = slot_for(alone(plans, device), slots[0].number)
            self._shared[device] = SharedDevice(slots, whole, daemons.get(device))

    def submit(self, task: FoldTask) -> None:
        """Queue a task."""
        self._queue.append(Attempt(task))

    @property
    def n_unfinished(self) -> int:
        """Number of tasks without an outcome."""
        waiting = sum(len(shared.queue) for shared in self._shared.values())
        return waiting + len(self._queue) + sum(len(s.given) for s in self._all_slots())

    def wait(self, timeout: float | None = None) -> list[FoldOutcome]:
        """Give the outcomes there are; wait for the first for `timeout` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            self.feed()
            left = _LONGEST_WAIT
            if deadline is not None:
                left = min(left, max(0.0, deadline - time.monotonic()))
            self._share_out()
            self._listen(0.0 if self._outcomes else left)
            if self._outcomes or (deadline is not None and time.monotonic() > deadline):
                outcomes, self._outcomes = self._outcomes, []
                self.feed()
                return outcomes

    def feed(self) -> None:
        """Hand out queued tasks, starting workers where some are missing."""
        for shared in self._shared.values():
            shared.feed()
        for slot in self._slots:
            slot.succeed()
        slots = [slot for slot in self._slots if not self._is_reserved(slot)]
        n_missing = len(self._queue) + sum(bool(slot.given) for slot in slots)
        n_missing -= sum(slot.process is not None for slot in slots)
        for slot in slots:
            if slot.process is None and n_missing > 0:
                slot.start()
                n_missing -= 1
        ahead = self._n_ahead()
        # Round by round, so that nobody gets a second task before all have one.
        for depth in range(1, ahead + 2):
            for slot in slots:
                if self._queue and len(slot.given) < depth and slot.takes_work:
                    slot.give(self._queue.popleft())

    def reap(self) -> None:
        """Forget the workers that have ended while the pool was at rest."""
        self._failed_starts = 0
        self._listen(0.0)

    def terminate(self) -> None:
        """End all workers at once, and forget all tasks."""
        self._queue.clear()
        self._outcomes.clear()
        for slot in self._slots:
            slot.end()
        for shared in self._shared.values():
            shared.end()

    def rest(self) -> None:
        """Make ready for another search: no tasks, no worker that holds a GPU."""
        self._queue.clear()
        self._outcomes.clear()
        for shared in self._shared.values():
            shared.queue.clear()
        for slot in self._all_slots():
            if slot.given or slot.holds_gpu or len(slot.processes()) > 1:
                slot.end()

    # ------------------------------------------------------------------

    def _all_slots(self) -> list[Slot]:
        return [*self._slots, *(shared.alone for shared in self._shared.values())]

    def _sharing(self, slot: Slot) -> SharedDevice | None:
        return self._shared.get(slot.plan.device)  # type: ignore[arg-type]

    def _is_reserved(self, slot: Slot) -> bool:
        shared = self._sharing(slot)
        return shared is not None and shared.is_reserved

    def _is_alone(self, slot: Slot) -> bool:
        shared = self._sharing(slot)
        return shared is not None and slot is shared.alone

    def _n_ahead(self) -> int:
        if self._fold_seconds is None:
            return 0
        return min(int(_SECONDS_AHEAD / max(self._fold_seconds, 1e-9)), _MOST_AHEAD)

    def _share_out(self) -> None:
        """Take back what waits behind a long fold while another worker is idle."""
        slots = [slot for slot in self._slots if not self._is_reserved(slot)]
        if self._queue or all(slot.given for slot in slots):
            return
        for slot in slots:
            slot.recall()

    def _listen(self, timeout: float) -> None:
        sources: dict[Any, tuple[Slot, WorkerProcess]] = {}
        for slot in self._all_slots():
            for process in slot.processes():
                sources.update(dict.fromkeys(process.sources(), (slot, process)))
        ready = wait_for_any(list(sources), timeout) if sources else []
        for slot, process in {sources[source]: None for source in ready}:
            self._read(slot, process)
        for slot in self._all_slots():
            for process in slot.processes():
                # What says bye runs no fold any more, and may never come to its end:
                # a thread that the estimator left keeps it.
                if process.has_ended() or (process is slot.process and slot.says_bye):
                    self._read(slot, process)
                    self._lose(slot, process)

    def _read(self, slot: Slot, process: WorkerProcess) -> None:
        messages = process.receive()
        # What a fold printed comes out before the fold counts as done.
        process.relay_output()
        for message in messages:
            kind, *content = pickle.loads(message)  # noqa: S301 - our worker
            if slot.is_successor(process):
                slot.successor_is_warm |= kind == "warm"
            elif process is slot.process:  # and not one that was just ended
                self._handle(slot, kind, *content)

    def _handle(self, slot: Slot, kind: str, *content: Any) -> None:
        if kind in ("hello", "warm"):
            pass  # it has begun, which the process has noted
        elif kind == "bye":
            slot.says_bye = True
        elif kind == "recalled":
            self._queue.extendleft(reversed(slot.take_back(set(content[0]))))
        else:
            answer, status = content[1:]
            attempt = slot.given.popleft()
            attempt.started = status["started"]
            slot.note(status, more_to_come=bool(self._queue))
            self._answer(slot, attempt, kind, pickle.loads(answer))  # noqa: S301

    def _answer(self, slot: Slot, attempt: Attempt, kind: str, content: Any) -> None:
        self._failed_starts = 0
        if kind == "done":
            result, failure, warnings, versions = content
            seconds = result["fit_time"] + result["score_time"]
            known = self._fold_seconds
            self._fold_seconds = seconds if known is None else (known + seconds) / 2
            if self._goes_on_alone(slot, attempt, failure or ""):
                return
            outcome = _outcome(
                slot,
                attempt,
                result=result,
                failure=failure,
                out_of_memory=self._exhausted(slot, failure or ""),
                warnings=warnings,
                versions=versions,
            )
        elif kind == "error":
            if self._goes_on_alone(slot, attempt, content[2]):
                return
            error, warnings = _unpickled_error(*content)
            outcome = _outcome(
                slot,
                attempt,
                error=error,
                out_of_memory=self._exhausted(slot, content[2]),
                warnings=warnings,
            )
        elif kind == "edited":
            outcome = _outcome(
                slot,
                attempt,
                error=WorkerError(
                    f"The file {content} has changed since this process imported "
                    "it. A worker would run the new code, and its score would be "
                    "stored as that of the old. Nothing that is already computed "
                    "is lost. Start the script again, or reload the module in a "
                    "notebook, and call fit again."
                ),
            )
            self._outcomes.append(outcome)
            return
        else:  # "stale": the worker ends, a new one imports the new code
            self._requeue(slot, attempt)
            return
        self._outcomes.append(outcome)
        self._end_if_broken(slot, content[1] if kind == "done" else content[2])

    def _end_if_broken(self, slot: Slot, failure: str | None) -> None:
        """End a worker whose CUDA context a fold has left of no use to the next."""
        if is_shared_fault(failure or ""):
            self._queue.extendleft(reversed(slot.given))
            slot.end()

    def _requeue(self, slot: Slot, attempt: Attempt) -> None:
        shared = self._sharing(slot)
        is_alone = shared is not None and slot is shared.alone
        (shared.queue if shared and is_alone else self._queue).appendleft(attempt)

    # ------------------------------------------------------------------
    # Memory of GPUs

    def _goes_on_alone(self, slot: Slot, attempt: Attempt, failure: str) -> bool:
        """Give a fold the GPU for itself if it failed for what others took of it."""
        shared = self._sharing(slot)
        if shared is None or slot is shared.alone:
            return False
        if shared.daemon is not None and is_shared_fault(failure):
            for other in shared.slots:
                # Each of them is hit, and which one is to blame cannot be told.
                given = list(other.given)
                shared.queue.extend(given[:1])
                self._queue.extendleft(reversed(given[1:]))
                other.end()
        elif is_out_of_memory(failure):
            self._queue.extendleft(reversed(slot.given))
            slot.end()  # what it holds, and what it has torn
        else:
            return False
        shared.queue.append(attempt)
        return True

    def _exhausted(self, slot: Slot, failure: str) -> str | None:
        if not (self._is_alone(slot) and is_out_of_memory(failure)):
            return None
        device, plan = slot.plan.device, slot.plan
        assert device is not None
        slot.end()
        return (
            f"{device.name} ({device.uuid}), with {plan.share / 1e9:.1f} of its "
            f"{plan.total / 1e9:.1f} GB"
        )

    # ------------------------------------------------------------------

    def _lose(self, slot: Slot, process: WorkerProcess) -> None:
        """Give back the tasks of a worker that has ended, and forget it."""
        if slot.is_successor(process):
            slot.lose_successor()
            return
        process.kill()  # and what it may have started
        attempts, says_bye = list(slot.given), slot.says_bye
        slot.end()
        if says_bye or not attempts:
            for attempt in reversed(attempts):
                self._requeue(slot, attempt)
            return
        ending = process.ending()
        if not process.has_begun:
            self._failed_starts += 1
            if self._failed_starts >= _MOST_FAILED_STARTS:
                raise WorkerStartError(
                    f"Worker processes do not start: {self._failed_starts} in a row "
                    f"ended before their first fold, the last one {ending}. The "
                    "likely cause stands in what they wrote to standard error "
                    f"above; the command was {process.command}."
                )
            for attempt in reversed(attempts):
                self._requeue(slot, attempt)
            return
        running, *waiting = attempts
        self._queue.extendleft(reversed(waiting))
        shared = self._sharing(slot)
        aborted = signal.SIGABRT.name in ending
        if (
            shared is not None
            and aborted
            and shared.daemon
            and slot is not shared.alone
        ):
            # TensorFlow and JAX abort on a fault, whoever's that was.
            shared.queue.append(running)
            return
        if running.number > self.max_retries:
            self._outcomes.append(_died(slot, running, ending))
            return
        again = Attempt(running.task, running.number + 1)
        if shared is not None and aborted:
            shared.queue.append(again)
        else:
            self._requeue(slot, again)


def _outcome(slot: Slot, attempt: Attempt, **content: Any) -> FoldOutcome:
    """Give what came of a try, with where and when that was."""
    device = slot.plan.device
    return FoldOutcome(
        task_id=attempt.task.task_id,
        attempts=attempt.number,
        started=attempt.started,
        worker=slot.number,
        device=None if device is None else device.uuid,
        **content,
    )


def _died(slot: Slot, attempt: Attempt, ending: str) -> FoldOutcome:
    tries = f"{attempt.number} {'try' if attempt.number == 1 else 'tries'}"
    text = (
        f"The worker process that ran this fold {ending} ({tries}). Likely causes: "
        "out of memory (see the kernel's log), or a crash in compiled code. "
        "Whatever it printed before is on standard error."
    )
    return _outcome(slot, attempt, error=WorkerDiedError(text), died=text)


class _RemoteTraceback(Exception):  # noqa: N818 - shown, never raised
    """Shows where in the worker an exception was raised."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f'\n"""\n{self.text}"""'


def _unpickled_error(
    pickled: bytes, description: str, text: str, warnings: tuple[Any, ...]
) -> tuple[BaseException, tuple[Any, ...]]:
    error: BaseException
    try:
        error = pickle.loads(pickled)  # noqa: S301 - our worker
    except Exception:
        error = WorkerError(
            f"A fold raised an exception that could not be sent: {description}"
        )
    error.__cause__ = _RemoteTraceback(text)
    return error, warnings
