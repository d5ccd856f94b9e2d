"""What follows from what in the pool of workers: a table, and no process."""

import dataclasses

import pytest

from resumable_search import WorkerDiedError, WorkerStartError
from resumable_search._engine import events, scheduler, slots, starts
from resumable_search._engine.messages import (
    DeviceTrouble,
    Exited,
    OtherCode,
    Raised,
    Recall,
    Scored,
    WorkerStatus,
)
from resumable_search._engine.slots import Moment, SharedDevice, Slot
from resumable_search._gpu.devices import Device, SlotPlan
from resumable_search._records import EpochEvent
from tests.helpers.tasks import task

NO_TROUBLE = DeviceTrouble()
OUT_OF_MEMORY = DeviceTrouble(out_of_memory=True)
FAULT = DeviceTrouble(fault=True)


def scored(trouble=NO_TROUBLE, seconds=1.0):
    return Scored(
        result={"fit_time": seconds, "score_time": 0.0},
        failure="it failed" if trouble != NO_TROUBLE else None,
        warnings=(),
        warned=False,
        versions={},
        trouble=trouble,
    )


def raised(trouble=NO_TROUBLE):
    return Raised(error=ValueError("no"), text="", warnings=(), trouble=trouble)


STATUS = WorkerStatus(started=5.0, holds_gpu=False, frameworks=(), private_bytes=None)
ANSWERS = {
    "done": scored(),
    "quick": scored(seconds=0.004),
    "raised": raised(),
    "exited": Exited(code="1", text=""),
    "differs": OtherCode(text="X is 1 here and 2 there", is_stale=False),
    "stale": OtherCode(text="", is_stale=True),
    "oom": scored(OUT_OF_MEMORY),
    "raised-oom": raised(OUT_OF_MEMORY),
    "fault": scored(FAULT),
    "raised-fault": raised(FAULT),
}


class Play:
    """A scheduler whose orders are carried out by nobody, and noted.

    Parameters
    ----------
    n_slots : int
        Number of places for workers.
    gpu : bool
        Whether they share a GPU; place ``g`` is the one that has it for itself.
    daemon : bool
        Whether they are clients of an MPS daemon.
    """

    def __init__(self, n_slots=2, *, gpu=False, daemon=False, **limits):
        device = Device(uuid="GPU-1", gpu="GPU-1", name="A GPU") if gpu else None
        plan = SlotPlan(device=device)
        self.slots = {str(number): Slot(plan, number) for number in range(n_slots)}
        shared = {}
        if gpu:
            alone = Slot(plan, 0)
            on_device = list(self.slots.values())
            shared = {device: SharedDevice(on_device, alone, has_daemon=daemon)}
            self.slots["g"] = alone
        self.names = {slot: name for name, slot in self.slots.items()}
        places = [slot for name, slot in self.slots.items() if name != "g"]
        self.scheduler = scheduler.Scheduler(places, shared)
        for name, value in limits.items():
            setattr(self.scheduler, name, value)
        self.clock = 100.0
        self.starts = True
        self.n_tasks = 0
        self.noted = []
        self.outcomes = []

    def now(self):
        return Moment(self.clock, 1000.0 + self.clock)

    def tell(self, kind, name, *content):
        event = kind(self.slots[name], *content)
        self.carry_out(self.scheduler.handle(event, self.now()))

    def carry_out(self, actions):
        for action in actions:
            name = self.names[action.slot]
            self.noted.append(self.text(action, name))
            match action:
                case events.Start() if self.starts:
                    self.tell(events.Started, name)
                case events.Start():
                    self.tell(events.NotStarted, name, OSError("no memory"))
                case events.StartSuccessor() if self.starts:
                    self.tell(events.SuccessorStarted, name)
                case events.StartSuccessor():
                    self.tell(events.SuccessorEnded, name)
                case events.GiveUp():
                    self.tell(events.Ended, name, action.ending)

    def text(self, action, name):
        kind = type(action).__name__.lower()
        if isinstance(action, events.Send):
            if isinstance(action.message, Recall):
                return f"recall {name}"
            return f"give {name} {action.message.task.task_id}"
        return f"{kind} {name}"

    def step(self, line):
        """Have something happen, and the scheduler act on it."""
        verb, *words = line.split()
        if verb == "submit":
            for _ in range(int(words[0])):
                self.scheduler.submit(task(self.n_tasks))
                self.n_tasks += 1
        elif verb in ANSWERS:
            slot = self.slots[words[0]]
            number = int(words[1]) if words[1:] else slot.given[0].task.task_id
            self.tell(events.Answered, words[0], number, ANSWERS[verb], STATUS)
        elif verb in ("worn", "worn-fault"):
            number = self.slots[words[0]].given[0].task.task_id
            status = dataclasses.replace(STATUS, frameworks=("tensorflow",))
            answer = scored(FAULT if verb == "worn-fault" else NO_TROUBLE)
            self.tell(events.Answered, words[0], number, answer, status)
        elif verb == "recalled":
            self.tell(events.Recalled, words[0], frozenset(map(int, words[1:])))
        elif verb == "epoch":
            event = EpochEvent(fit=0, epoch=int(words[1]), n_epochs=9, logs={})
            number = self.slots[words[0]].given[0].task.task_id
            self.tell(events.EpochEnded, words[0], number, event)
        elif verb == "died":
            self.tell(events.Ended, words[0], "was killed by signal SIGKILL")
        elif verb == "aborted":
            self.tell(events.Ended, words[0], "was killed by signal SIGABRT", True)
        elif verb == "holds-gpu":
            self.slots[words[0]].holds_gpu = True
        elif verb in SIMPLE:
            self.tell(SIMPLE[verb], words[0])
        elif verb == "wait":
            self.clock += float(words[0])
        elif verb == "impossible":
            self.starts = False
        elif verb == "possible":
            self.starts = True
        else:
            self.carry_out(getattr(self.scheduler, verb)() or [])
        self.act()

    def act(self):
        """Do as the pool does, until there is nothing to do."""
        if self.scheduler.error is None:
            while actions := self.scheduler.feed(self.now()):
                self.carry_out(actions)
            self.carry_out(self.scheduler.share_out())
            self.carry_out(self.scheduler.check_times(self.now()))
            while actions := self.scheduler.feed(self.now()):
                self.carry_out(actions)
        for outcome in self.scheduler.take_finished():
            self.outcomes.append(f"{outcome.task_id} {came_of(outcome)}")

    def run(self, script):
        """Play a script; return what was ordered after its last step."""
        *before, last = [line.strip() for line in script.split(";")]
        for line in before:
            self.step(line)
        self.noted.clear()
        self.outcomes.clear()
        self.step(last)
        return ", ".join(self.noted), ", ".join(self.outcomes)


SIMPLE = {
    "began": events.Began,
    "left": events.Left,
    "heir-began": events.SuccessorBegan,
    "warm": events.SuccessorWarm,
    "heir-died": events.SuccessorEnded,
}


def came_of(outcome):
    if outcome.cancelled:
        return "cancelled"
    tried = "" if outcome.attempts == 1 else f" at try {outcome.attempts}"
    if outcome.out_of_memory:
        return f"out of memory{tried}"
    if outcome.error is not None:
        return f"{type(outcome.error).__name__}{tried}"
    return f"done{tried}"


BEGUN = "submit 4; began 0; began 1"
# Folds are short: each of two workers has five more ahead, of twenty-one.
QUEUED = "submit 21; began 0; began 1; quick 0"
ALONE = "submit 4; began 0; began 1; oom 0; done 1"

TABLE = [
    # Starting, and handing out
    ("submit 1", "start 0, give 0 0", ""),
    ("submit 2", "start 0, start 1, give 0 0, give 1 1", ""),
    ("submit 5", "start 0, start 1, give 0 0, give 1 1", ""),
    ("submit 1; submit 1", "start 1, give 1 1", ""),
    ("submit 2; began 0", "", ""),
    (f"{BEGUN}; done 0", "give 0 2", "0 done"),
    (f"{BEGUN}; done 1", "give 1 2", "1 done"),
    (f"{BEGUN}; raised 0", "give 0 2", "0 ValueError"),
    (f"{BEGUN}; exited 0", "give 0 2", "0 WorkerDiedError"),
    (f"{BEGUN}; differs 0", "give 0 2", "0 WorkerError"),
    (f"{BEGUN}; done 0; done 0; done 0", "", "3 done"),
    (f"{BEGUN}; epoch 0 3", "", ""),
    # Work ahead, where folds are short
    (
        QUEUED,
        "give 0 2, give 0 3, give 1 4, give 0 5, give 1 6, give 0 7, give 1 8, "
        "give 0 9, give 1 10, give 0 11, give 1 12",
        "0 done",
    ),
    (f"{QUEUED}; quick 0", "give 0 13", "2 done"),
    (f"{QUEUED}; done 0", "", "2 done"),  # they take longer than it seemed
    (
        f"{QUEUED}; died 0",
        "end 0, start 0, give 0 2, give 0 3, give 0 5, give 0 7, give 0 9, give 0 11",
        "",
    ),
    (
        f"{QUEUED}; close_queue",
        "recall 0, recall 1",
        "13 cancelled, 14 cancelled, "
        "15 cancelled, 16 cancelled, 17 cancelled, 18 cancelled, 19 cancelled, "
        "20 cancelled",
    ),
    (
        f"{QUEUED}; close_queue; recalled 0 3 5 7 9 11",
        "",
        "3 cancelled, 5 cancelled, 7 cancelled, 9 cancelled, 11 cancelled",
    ),
    # What waits behind a long fold goes to a worker that is idle
    ("submit 3; began 0; began 1; quick 0; done 0", "", "2 done"),
    ("submit 5; began 0; began 1; quick 1; quick 1", "", "2 done"),
    ("submit 5; began 0; began 1; quick 1; quick 1; quick 1", "recall 0", "4 done"),
    (
        "submit 5; began 0; began 1; quick 1; quick 1; quick 1; recalled 0 3",
        "give 1 3",
        "",
    ),
    # Deaths
    (f"{BEGUN}; died 0", "end 0, start 0, give 0 0", ""),
    (f"{BEGUN}; died 0; began 0; done 0", "give 0 2", "0 done at try 2"),
    (
        f"{BEGUN}; died 0; began 0; died 0",
        "end 0, start 0, give 0 2",
        "0 WorkerDiedError at try 2",
    ),
    ("submit 1; began 0; done 0; died 0", "end 0", ""),
    ("submit 1; began 0; done 0; died 0; submit 1", "start 0, give 0 1", ""),
    (f"{BEGUN}; left 0; died 0", "end 0, start 0, give 0 0", ""),
    (f"{BEGUN}; left 0; died 0; began 0; done 0", "give 0 2", "0 done"),
    (f"{BEGUN}; stale 0", "renew 0, give 0 0", ""),
    (f"{BEGUN}; done 0 3", "giveup 0, end 0, start 0, give 0 0", ""),
    (f"{BEGUN}; died 0; died 1", "end 1, start 1, give 1 1", ""),
    (f"{BEGUN}; close_queue", "", "2 cancelled, 3 cancelled"),
    (f"{BEGUN}; close_queue; died 0", "end 0", "0 cancelled"),
    (f"{BEGUN}; close_queue; done 0", "", "0 done"),
    (f"{BEGUN}; terminate", "end 0, end 1", ""),
    (f"{BEGUN}; rest", "end 0, end 1", ""),
    ("submit 2; began 0; began 1; done 0; rest", "end 1", ""),
    ("submit 1; began 0; done 0; rest; wake; submit 1", "give 0 1", ""),
    (f"{BEGUN}; close_queue; rest; wake; submit 1", "start 0, give 0 4", ""),
    ("submit 1; began 0; done 0; holds-gpu 0; rest", "end 0", ""),
    # Workers that do not start
    ("submit 1; died 0", "end 0, start 0, give 0 0", ""),
    ("impossible; submit 1", "start 0", ""),
    ("impossible; submit 1; possible; wait 0.5", "", ""),
    ("impossible; submit 1; possible; wait 0.6; wait 0.6", "start 0, give 0 0", ""),
    ("submit 1; wait 299", "", ""),
    ("submit 1; wait 301", "giveup 0, end 0, start 0, give 0 0", ""),
]

TIMED = [
    (f"{BEGUN}; wait 9", "", ""),
    (
        f"{BEGUN}; wait 10",
        "end 0, end 1, start 0, start 1, give 0 2, give 1 3",
        "0 FoldTimeoutError, 1 FoldTimeoutError",
    ),
    ("submit 1; wait 50", "", ""),  # a fold's time begins with its worker
    ("submit 1; wait 50; began 0; wait 9", "", ""),
    ("submit 1; wait 50; began 0; wait 10", "end 0", "0 FoldTimeoutError"),
    (
        f"{BEGUN}; wait 6; done 0; wait 5",
        "end 1, start 1, give 1 3",
        "1 FoldTimeoutError",
    ),
    ("submit 1; began 0; wait 6; died 0; wait 50", "", ""),
    (
        "submit 1; began 0; wait 6; died 0; began 0; wait 10",
        "end 0",
        "0 FoldTimeoutError at try 2",
    ),
]

ON_A_GPU = [
    (f"{BEGUN}; oom 0", "end 0", ""),  # the other one finishes what it runs
    (f"{BEGUN}; raised-oom 0", "end 0", ""),
    (ALONE, "end 1, start g, give g 0", "1 done"),
    (
        f"{ALONE}; began g; done g",
        "end g, start 0, start 1, give 0 2, give 1 3",
        "0 done",
    ),
    (
        f"{ALONE}; began g; oom g",
        "end g, start 0, start 1, give 0 2, give 1 3",
        "0 out of memory",
    ),
    (
        f"{ALONE}; began g; raised-oom g",
        "end g, start 0, start 1, give 0 2, give 1 3",
        "0 out of memory",
    ),
    (f"{ALONE}; began g; died g", "end g, start g, give g 0", ""),
    (f"{ALONE}; began g; stale g", "renew g, give g 0", ""),
    (f"{BEGUN}; oom 0; oom 1", "end 1, start g, give g 0", ""),
    (f"{BEGUN}; oom 0; oom 1; began g; done g", "give g 1", "0 done"),
    (f"{BEGUN}; aborted 0", "end 0", ""),  # which costs a try
    (
        f"{BEGUN}; aborted 0; done 1; began g; done g",
        "end g, start 0, start 1, give 0 2, give 1 3",
        "0 done at try 2",
    ),
    (f"{BEGUN}; fault 0", "end 0, start 0, give 0 2", "0 done"),
    (f"{BEGUN}; raised-fault 0", "end 0, start 0, give 0 2", "0 ValueError"),
    (f"{BEGUN}; died 0", "end 0, start 0, give 0 0", ""),
    (f"{BEGUN}; oom 0; close_queue", "", "2 cancelled, 3 cancelled, 0 cancelled"),
    (f"{BEGUN}; oom 0; terminate", "end 1", ""),
    (f"{BEGUN}; close_queue; oom 0", "end 0", "0 cancelled"),
]

WITH_MPS = [
    # All that ran on the GPU goes again, uncharged.
    (f"{BEGUN}; fault 0", "end 0, end 1, start g, give g 1", ""),
    (f"{BEGUN}; fault 0; began g; done g", "give g 0", "1 done"),
    (f"{BEGUN}; aborted 0", "end 0", ""),
    (
        f"{BEGUN}; aborted 0; done 1; began g; done g",
        "end g, start 0, start 1, give 0 2, give 1 3",
        "0 done",
    ),
    (f"{BEGUN}; aborted 0; done 1; began g; aborted g", "end g, start g, give g 0", ""),
    (
        f"{BEGUN}; aborted 0; done 1; began g; fault g",
        "end g, start 0, start 1, give 0 2, give 1 3",
        "0 done",
    ),
    (f"{BEGUN}; oom 0", "end 0", ""),
]

WORN = [
    ("submit 9; began 0; worn 0", "startsuccessor 0, give 0 1", "0 done"),
    ("submit 1; began 0; worn 0", "", "0 done"),  # there is nothing more to do
    ("submit 9; began 0; worn 0; warm 0", "", ""),
    ("submit 9; began 0; worn 0; warm 0; done 0", "succeed 0, give 0 2", "1 done"),
    ("submit 9; began 0; worn 0; worn 0", "give 0 2", "1 done"),  # one is enough
    ("submit 9; began 0; worn 0; heir-died 0", "endsuccessor 0", ""),
    (
        "submit 9; began 0; worn 0; heir-died 0; worn 0",
        "startsuccessor 0, give 0 2",
        "1 done",
    ),
    ("submit 9; began 0; worn 0; warm 0; heir-died 0", "endsuccessor 0", ""),
    ("submit 9; began 0; worn 0; died 0", "end 0, start 0, give 0 1", ""),
    ("submit 9; began 0; worn 0; wait 301", "endsuccessor 0", ""),
    ("submit 9; began 0; worn 0; heir-began 0; wait 301", "", ""),  # a slow import
    ("submit 9; began 0; worn-fault 0", "end 0, start 0, give 0 1", "0 done"),
    (
        "submit 9; began 0; impossible; worn 0",
        "startsuccessor 0, endsuccessor 0, give 0 1",
        "0 done",
    ),
    (
        "submit 9; began 0; impossible; worn 0; worn 0; worn 0; worn 0",
        "give 0 4",
        "3 done",
    ),
    ("submit 9; began 0; worn 0; rest", "end 0", ""),
]


def rows(table):
    return [pytest.param(*row, id=row[0].replace("; ", ";")) for row in table]


@pytest.mark.parametrize(("script", "ordered", "outcomes"), rows(TABLE))
def test_what_follows(script, ordered, outcomes):
    """Two workers without a GPU."""
    assert Play().run(script) == (ordered, outcomes)


@pytest.mark.parametrize(("script", "ordered", "outcomes"), rows(TIMED))
def test_what_follows_with_a_time_limit(script, ordered, outcomes):
    """Ten seconds for each fold."""
    assert Play(fold_timeout=10.0).run(script) == (ordered, outcomes)


@pytest.mark.parametrize(("script", "ordered", "outcomes"), rows(ON_A_GPU))
def test_what_follows_on_a_gpu(script, ordered, outcomes):
    """Two workers on one GPU."""
    assert Play(gpu=True).run(script) == (ordered, outcomes)


@pytest.mark.parametrize(("script", "ordered", "outcomes"), rows(WITH_MPS))
def test_what_follows_with_mps(script, ordered, outcomes):
    """Two workers on one GPU, with a daemon."""
    assert Play(gpu=True, daemon=True).run(script) == (ordered, outcomes)


@pytest.mark.parametrize(("script", "ordered", "outcomes"), rows(WORN))
def test_what_follows_when_a_worker_is_worn(script, ordered, outcomes, monkeypatch):
    """One worker, worn after each fold."""
    monkeypatch.setattr(slots, "FOLDS_PER_WORKER", 1)
    assert Play(1).run(script) == (ordered, outcomes)


def test_what_was_given_back_is_not_late():
    """In the worker that had it, and has nothing any more."""
    play = Play(1, fold_timeout=10.0)
    for line in ("submit 3", "began 0", "quick 0", "close_queue", "quick 0"):
        play.step(line)
    play.step("recalled 0 2")
    play.step("wait 50")
    assert play.outcomes[-1] == "2 cancelled"
    assert play.scheduler.deadline() is None


def test_a_start_that_is_impossible_is_tried_again_later():
    """Not in all the other places at once."""
    play = Play(8)
    play.step("impossible")
    play.step("submit 8")
    assert play.noted == ["start 0"]
    assert play.scheduler.error is None
    play.step("possible")
    play.step("wait 1")
    assert play.noted[1:9] == [f"start {number}" for number in range(8)]


def test_folds_are_handed_out_when_all_workers_are_there():
    """However short they are: the first one would get them all."""
    play = Play(4)
    for line in ("submit 1", "began 0", "quick 0"):
        play.step(line)
    play.noted.clear()
    play.step("submit 12")
    given = [line.split()[1] for line in play.noted if line.startswith("give")]
    assert play.noted[:3] == ["start 1", "start 2", "start 3"]
    assert {place: given.count(place) for place in "0123"} == dict.fromkeys("0123", 3)


@pytest.mark.parametrize("max_retries", [0, 1, 3])
def test_a_fold_is_tried_so_often(max_retries):
    """And fails then."""
    play = Play(1, max_retries=max_retries)
    play.step("submit 1")
    for _ in range(max_retries + 1):
        assert play.outcomes == []
        play.step("began 0")
        play.step("died 0")
    (outcome,) = play.outcomes
    assert outcome.startswith("0 WorkerDiedError")


@pytest.mark.parametrize("way", ["died", "impossible", "late"])
def test_workers_that_do_not_begin_end_the_search(way):
    """Five in a row; no fold is charged."""
    play = Play(1)
    if way == "impossible":
        play.step("impossible")
    play.step("submit 1")
    n_steps = 0
    while play.scheduler.error is None:
        play.step({"died": "died 0", "impossible": "wait 1", "late": "wait 301"}[way])
        n_steps += 1
    assert n_steps == 5 - (way == "impossible")
    assert isinstance(play.scheduler.error, WorkerStartError)
    assert play.outcomes == []


def test_a_worker_that_begins_ends_the_count():
    """Of those in a row that did not."""
    play = Play(1)
    play.step("submit 1")
    for _ in range(9):
        play.step("died 0")
        play.step("began 0")
        play.step("left 0")
    assert play.scheduler.error is None


def test_workers_that_die_whatever_they_run_end_the_search():
    """After twenty in a row, with five candidates at least, from both ends."""
    play = Play(1, max_retries=0)
    play.step("submit 50")
    while play.scheduler.error is None:
        play.step("began 0")
        play.step("died 0")
    assert isinstance(play.scheduler.error, WorkerDiedError)
    died = [int(outcome.split()[0]) for outcome in play.outcomes]
    assert len(died) == 20
    assert {49, 48, 47} <= set(died)


def test_a_candidate_that_kills_its_workers_does_not_end_the_search():
    """The others come to their end between its deaths."""
    play = Play(1, max_retries=0)
    play.step("submit 100")
    for _ in range(50):
        play.step("began 0")
        play.step("died 0")
        play.step("began 0")
        play.step("done 0")
    assert play.scheduler.error is None
    assert len(play.outcomes) == 100


def test_an_epoch_is_told_of_the_fold_that_runs():
    """With the seconds that one takes, from the second that is seen."""
    play = Play(1)
    for line in ("submit 1", "began 0", "epoch 0 3", "wait 8", "epoch 0 5"):
        play.step(line)
    running = play.slots["0"].running(pid=7)
    assert (running.epoch, running.n_epochs, running.epoch_seconds) == (5, 9, 4.0)
    play.step("epoch 0 1")  # another fit begins
    assert play.slots["0"].running(pid=7).epoch_seconds is None


def test_the_deadline_is_that_of_the_first_thing_to_happen():
    """A worker's begin, or the end of a fold."""
    play = Play(2, fold_timeout=10.0)
    assert play.scheduler.deadline() is None
    play.step("submit 2")
    assert play.scheduler.deadline() == 100.0 + starts.START_SECONDS
    play.step("wait 5")
    play.step("began 1")
    assert play.scheduler.deadline() == 115.0


def test_what_is_queued_or_given_is_unfinished():
    """Also what waits for a GPU."""
    play = Play(gpu=True)
    for line in ("submit 4", "began 0", "began 1", "done 0", "oom 1"):
        play.step(line)
    assert play.scheduler.n_unfinished == 3
    assert not play.scheduler.has_finished
