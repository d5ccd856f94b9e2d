"""How a search is shown: to people, and to other programs."""

import time
from typing import Any

from .._records import LiveWorker
from .._states import state_text as told
from .._texts import inert
from .facts import Facts
from .output import clock, fitting, parameters_text, utc, value_text

__all__ = ["OUTDATED", "describe", "facts_json", "line", "state_text"]

#: What is said of scores whose keys were made by older rules.
OUTDATED = "of an older version of resumable_search: not to be trusted, not used"

_BAR_WIDTH = 40


def state_text(facts: Facts) -> str:
    """Tell in a few words whether somebody works on a search."""
    return told(
        facts.state,
        facts.holder or facts.live,
        started=facts.search.started,
        n_failed=facts.n_failed,
    )


def describe(facts: Facts, now: float, *, has_bar: bool = False) -> Any:
    """Show all about a search; `now` in seconds since 1970."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    search, live = facts.search, facts.live
    rows: list[tuple[str, Any]] = [
        (f"search {search.number}", f"{search.kind} of {search.estimator}"),
        ("checkpoint", str(facts.checkpoint)),
        ("state", state_text(facts)),
        ("folds", _folds_text(facts)),
    ]
    if has_bar:
        rows.append(("", _bar(facts)))
    rows += [
        ("candidates", f"{facts.n_complete} of {search.n_candidates} complete"),
        ("best so far", _best_text(facts)),
    ]
    if live is not None and live.seconds_left is not None:
        rows.append(("time left", f"about {clock(live.seconds_left)}"))
    if search.is_outdated:
        rows.append(("scores", OUTDATED))
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for label, value in rows:
        grid.add_row(label, Text(inert(value)) if isinstance(value, str) else value)
    if live is None or not live.workers:
        return grid
    return Group(grid, Text(""), _workers_table(facts, now))


def line(facts: Facts) -> str:
    """Tell on one line how far a search is."""
    parts = [_folds_text(facts)]
    if facts.best is not None:
        parts.append(f"best {_best_text(facts)}")
    if facts.live is not None and facts.live.seconds_left is not None:
        parts.append(f"about {clock(facts.live.seconds_left)} left")
    return " | ".join(parts)


def facts_json(facts: Facts) -> dict[str, Any]:
    """Return all about a search for other programs. Times are UTC."""
    search, live, best = facts.search, facts.live, facts.best
    holder = facts.holder or live
    return {
        "checkpoint": str(facts.checkpoint),
        "search": search.number,
        "class": search.kind,
        "estimator": search.estimator,
        "state": str(facts.state),
        "process": holder and {"pid": holder.pid, "host": holder.host},
        "created": utc(search.created),
        "started": utc(search.started),
        "is_outdated": search.is_outdated,
        "n_folds": facts.view.n_folds,
        "n_done": facts.n_done,
        "n_resumed": live.n_resumed if live else None,
        "n_failed": facts.n_failed,
        "n_candidates": search.n_candidates,
        "n_complete": facts.n_complete,
        "metric": facts.metric,
        "best": best
        and {
            "candidate": best.candidate,
            "mean_test_score": best.score,
            "std_test_score": best.deviation,
            "params": best.parameters,
        },
        "seconds_left": live.seconds_left if live else None,
        "workers": [_worker_json(worker) for worker in (live.workers if live else ())],
    }


def _folds_text(facts: Facts) -> str:
    text = f"{facts.n_done} of {facts.view.n_folds} done"
    if facts.live is not None and facts.live.n_resumed:
        text += f", {facts.live.n_resumed} of them resumed"
    if facts.n_failed:
        text += f", {facts.n_failed} failed"
    return text


def _best_text(facts: Facts) -> str:
    best = facts.best
    if best is None:
        return "no candidate is complete"
    return (
        f"{inert(facts.metric)} {value_text(best.score)} with "
        f"{parameters_text(best.parameters)}"
    )


def _bar(facts: Facts) -> Any:
    from rich.progress_bar import ProgressBar

    # Without folds (of a file that no search wrote) it would divide by zero.
    n_folds = max(facts.view.n_folds, 1)
    return ProgressBar(total=n_folds, completed=facts.n_done, width=_BAR_WIDTH)


def _workers_table(facts: Facts, now: float) -> Any:
    workers = facts.live.workers if facts.live else ()
    names = ["worker", "device", "candidate", "split", "elapsed", "epoch", "parameters"]
    rows = [_worker_row(worker, facts, now) for worker in workers]
    if not any(row[names.index("epoch")] for row in rows):
        # Only Keras fits have epochs; the room is better used.
        for row in (names, *rows):
            del row[-2]
    return fitting(
        names,
        rows,
        whole=["device", "epoch"],
        right=["worker", "candidate", "split", "elapsed"],
        cut=["parameters"],
    )


def _worker_row(worker: LiveWorker, facts: Facts, now: float) -> list[str]:
    start = [str(worker.number), _device(worker)]
    if worker.candidate is None:
        return [*start, "", "", "", "", "idle" if worker.pid else "no process"]
    epoch = "" if worker.epoch is None else str(worker.epoch)
    if epoch and worker.n_epochs is not None:
        epoch += f" of {worker.n_epochs}"
    parameters: dict[str, Any] = worker.parameters
    if worker.candidate < len(facts.view.candidates):
        parameters = facts.view.candidates[worker.candidate].values()
    return [
        *start,
        str(worker.candidate),
        "" if worker.split is None else str(worker.split),
        "" if worker.started is None else clock(now - worker.started),
        epoch,
        parameters_text(parameters),
    ]


def _device(worker: LiveWorker) -> str:
    """Return as much of a GPU's UUID as tells it from others; the JSON has it all."""
    return "CPU" if worker.device is None else inert(worker.device)[:12]


def _worker_json(worker: LiveWorker) -> dict[str, Any]:
    started = worker.started
    return {
        "number": worker.number,
        "pid": worker.pid,
        "device": worker.device,
        "candidate": worker.candidate,
        "params": worker.parameters,
        "split": worker.split,
        "attempt": worker.attempt,
        "started": utc(started),
        "seconds": None if started is None else max(time.time() - started, 0.0),
        "epoch": worker.epoch,
        "n_epochs": worker.n_epochs,
    }
