"""What the page shows, as JSON: all of it once, then what has changed."""

import time
from typing import Any

from .._records import FoldRecord, LiveStatus
from .._results import SearchView
from .._states import state_of, state_text
from .._texts import inert, inert_lines
from .follower import Snapshot
from .readings import (
    fold_score,
    headline,
    is_unchanged,
    mean_score,
    plain_parameters,
)

__all__ = ["Board"]

# More errors, folds of an error and letters of a traceback than anybody reads.
_MOST_ERRORS = 50
_MOST_FOLDS = 20
_MOST_LETTERS = 20_000


class Board:
    """Candidates as rows that know when they changed. Not for several threads."""

    def __init__(self) -> None:
        self._version = 0
        self._life = -1
        self._view: SearchView | None = None
        self._rows: list[dict[str, Any]] = []
        self._changed: list[int] = []
        """By row: the version in which it changed last."""
        self._summary: dict[str, Any] = {}

    def update(self, snapshot: Snapshot) -> None:
        """Take over what was found."""
        if snapshot.life != self._life:
            self._life = snapshot.life
            self._rows, self._changed, self._view = [], [], None
            self._version += 1
        if snapshot.view is self._view:
            return
        last, self._view = self._view, snapshot.view
        view = snapshot.view
        if view is None:
            return
        rows = [
            self._rows[i] if is_unchanged(view, last, i) else _row(view, i)
            for i in range(len(view.candidates))
        ]
        self._version += 1
        del self._changed[len(rows) :]
        for i, row in enumerate(rows):
            if i >= len(self._changed):
                self._changed.append(self._version)
            elif row is not self._rows[i] and row != self._rows[i]:
                self._changed[i] = self._version
        self._rows = rows
        self._summary = _summary(view, rows)

    def state(self, snapshot: Snapshot, life: int, version: int) -> dict[str, Any]:
        """Return what somebody does not know who has seen `version` of `life`."""
        since = version if life == self._life else 0
        state: dict[str, Any] = {
            "life": self._life,
            "version": self._version,
            "now": time.time(),
            "problem": None if snapshot.problem is None else inert(snapshot.problem),
        }
        if snapshot.view is None:
            return state
        return {
            **state,
            **self._summary,
            **_live(snapshot.status),
            **self._told(snapshot),
            "n_rows": len(self._rows),
            "rows": [
                {"i": i, **row}
                for i, row in enumerate(self._rows)
                if self._changed[i] > since
            ],
        }

    def _told(self, snapshot: Snapshot) -> dict[str, Any]:
        """Return the state of the search, and the text that tells it."""
        counts = self._summary
        n_tried = counts["n_done"] + counts["n_failed"]
        who = snapshot.holder, snapshot.status
        state = state_of(*who, is_tried=n_tried >= counts["n_folds"])
        assert snapshot.view is not None
        text = state_text(
            state,
            snapshot.holder or snapshot.status,
            started=snapshot.view.search.started,
            n_failed=counts["n_failed"],
        )
        return {"state": state, "state_text": inert(text)}


def _row(view: SearchView, i: int) -> dict[str, Any]:
    folds = view.folds[i]
    scores = [fold_score(view, fold) for fold in folds]
    return {
        "parameters": plain_parameters(view.candidates[i]),
        "score": mean_score(scores),
        "folds": [
            [_letter(view, fold), _text(score), *_where(fold)]
            for fold, score in zip(folds, scores, strict=True)
        ],
    }


def _letter(view: SearchView, fold: dict[str, FoldRecord] | None) -> str:
    if view.is_done(fold):
        return "d"
    is_failed = any(record.state == "failed" for record in (fold or {}).values())
    return "f" if is_failed else "p"


def _text(score: float | None) -> str | None:
    # NaN and infinities are no JSON.
    return None if score is None else f"{score:.6g}"


def _where(fold: dict[str, FoldRecord] | None) -> tuple[int | None, float | None]:
    """Return worker and seconds."""
    record = next(iter((fold or {}).values()), None)
    if record is None:
        return None, None
    return record.worker, round(record.fit_time + record.score_time, 3)


def _summary(view: SearchView, rows: list[dict[str, Any]]) -> dict[str, Any]:
    letters = [fold[0] for row in rows for fold in row["folds"]]
    best = max(
        (i for i, row in enumerate(rows) if row["score"] is not None),
        key=lambda i: rows[i]["score"],
        default=None,
    )
    search = view.search
    return {
        "search": search.number,
        "kind": inert(search.kind),
        "estimator": inert(search.estimator),
        "metric": inert(search.metric),
        "n_splits": search.n_splits,
        "n_candidates": search.n_candidates,
        "n_folds": view.n_folds,
        "n_done": letters.count("d"),
        "n_failed": letters.count("f"),
        "best": None
        if best is None
        else {
            "candidate": best,
            "score": rows[best]["score"],
            "parameters": rows[best]["parameters"],
        },
        "errors": _errors(view),
    }


def _errors(view: SearchView) -> list[dict[str, Any]]:
    """Group failed folds by what went wrong, the most frequent first."""
    places: dict[str, list[tuple[int, int]]] = {}
    for candidate, split, record in view.failed():
        text = record.error or "There is no traceback."
        places.setdefault(text, []).append((candidate.position, split))
    often = sorted(places.items(), key=lambda item: -len(item[1]))
    return [
        {
            "text": inert_lines(text[-_MOST_LETTERS:]),
            "headline": headline(text),
            "n": len(folds),
            "folds": folds[:_MOST_FOLDS],
        }
        for text, folds in often[:_MOST_ERRORS]
    ]


def _live(status: LiveStatus | None) -> dict[str, Any]:
    if status is None:
        return {"running": None}
    return {
        "running": {
            "pid": status.pid,
            "host": inert(status.host),
            "started": status.started,
            "n_resumed": status.n_resumed,
            "seconds_left": status.seconds_left,
            "workers": [
                {
                    "number": worker.number,
                    "pid": worker.pid,
                    "device": None if worker.device is None else inert(worker.device),
                    "candidate": worker.candidate,
                    "split": worker.split,
                    "attempt": worker.attempt,
                    "started": worker.started,
                    "epoch": worker.epoch,
                    "n_epochs": worker.n_epochs,
                }
                for worker in status.workers
            ],
        }
    }
