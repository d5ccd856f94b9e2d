"""Reading a checkpoint: by the search that writes it, or by somebody who looks on.

Reading runs no code and takes no lock, so it may be done at any time, from any
process, while searches write to the file.
"""

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from .._records import CandidateRecord, FoldRecord, FoldState, SearchRecord
from .errors import BUSY_SECONDS, missing, translated
from .schema import prepare_to_read

__all__ = ["CheckpointReader"]

# SQLite takes this many values in one statement in every version.
_MOST_VALUES = 900

_FOLD_COLUMNS = """
folds.key, folds.scorer, folds.state, folds.test_score, folds.train_score,
folds.n_test_samples, folds.fit_time, folds.score_time, folds.attempts,
folds.environment
"""

_FIND_FOLDS = f"""
SELECT {_FOLD_COLUMNS} FROM folds WHERE state = 'done' AND key IN ({{}})
"""  # noqa: S608 - no values in it

_FIND_ALL = f"""
SELECT {_FOLD_COLUMNS}, folds.started, folds.finished, folds.worker, folds.device,
       errors.text
FROM folds LEFT JOIN errors ON errors.id = folds.error WHERE folds.key IN ({{}})
"""  # noqa: S608 - likewise


class CheckpointReader:
    """Folds, searches and random states in an SQLite file, to read only.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    CheckpointError
        If there is no such file, or it cannot be read.
    CheckpointFormatError
        If it is something else, is damaged, or has another format.
    """

    def __init__(self, path: Path) -> None:
        self._begin(path)
        if not path.is_file():
            raise missing(path)
        with self._translated():
            self._db = _connect_to_read(path)
        try:
            with self._translated():
                prepare_to_read(self._db, path)
        except BaseException:
            self._db.close()
            raise

    def _begin(self, path: Path) -> None:
        self.path = path
        self._pid = os.getpid()
        self._versions: dict[int, dict[str, str]] = {}

    # ------------------------------------------------------------------
    # Folds

    def find(self, keys: Iterable[str]) -> dict[str, dict[str, FoldRecord]]:
        """Give the finished folds among `keys`: key -> scorer -> record."""
        return self._find(_FIND_FOLDS, keys)

    def find_all(self, keys: Iterable[str]) -> dict[str, dict[str, FoldRecord]]:
        """Give the failed ones too, and of all: when, where and why."""
        return self._find(_FIND_ALL, keys)

    def _find(
        self, statement: str, keys: Iterable[str]
    ) -> dict[str, dict[str, FoldRecord]]:
        found: dict[str, dict[str, FoldRecord]] = {}
        with self._translated():
            for chunk in _chunks(list(keys), _MOST_VALUES):
                marks = ",".join("?" * len(chunk))
                for row in self._db.execute(statement.format(marks), chunk):
                    record = self._fold(*row)
                    found.setdefault(record.key, {})[record.scorer] = record
        return found

    # ------------------------------------------------------------------
    # Searches

    def searches(self) -> list[SearchRecord]:
        """Give all searches, the one that was started last first."""
        names = (
            *("number", "key", "family", "kind", "run", "n_splits", "n_candidates"),
            *("metric", "created", "started"),
        )
        with self._translated():
            rows = self._db.execute(
                "SELECT id, key, family, kind, run, n_splits, n_candidates, metric, "
                "created, started, scorers, parts FROM searches "
                "ORDER BY started DESC, id DESC"
            ).fetchall()
        return [
            SearchRecord(
                **dict(zip(names, row, strict=False)),
                scorers=json.loads(row[-2]),
                parts=_parts(row[-1]),
            )
            for row in rows
        ]

    def candidates(self, search: int) -> list[CandidateRecord]:
        """Give the candidates of a search in their order."""
        with self._translated():
            rows = self._db.execute(
                "SELECT position, round, key, parameters FROM candidates "
                "WHERE search = ? ORDER BY position",
                (search,),
            ).fetchall()
        return [
            CandidateRecord(
                position=position,
                round=number,
                key=key,
                parameters={n: tuple(v) for n, v in json.loads(parameters).items()},
            )
            for position, number, key, parameters in rows
        ]

    def splits(self, search: int) -> dict[int, dict[int, str]]:
        """Give the splits of a search: round -> position -> key."""
        found: dict[int, dict[int, str]] = {}
        with self._translated():
            for number, position, key in self._db.execute(
                "SELECT round, position, key FROM splits WHERE search = ? "
                "ORDER BY round, position",
                (search,),
            ):
                found.setdefault(number, {})[position] = key
        return found

    # ------------------------------------------------------------------
    # Random states

    def random_state(self, key: str) -> Any:
        """Give the random state that was stored under `key`, or None."""
        with self._translated():
            row = self._db.execute(
                "SELECT state FROM random_states WHERE key = ?", (key,)
            ).fetchone()
        return None if row is None else json.loads(row[0])

    def close(self) -> None:
        """Close the file."""
        if self._pid == os.getpid():
            self._db.close()

    # ------------------------------------------------------------------

    def _fold(
        self,
        key: str,
        scorer: str,
        state: str,
        test_score: str | None,
        train_score: str | None,
        n_test_samples: int,
        fit_time: float,
        score_time: float,
        attempts: int,
        environment: int,
        started: float | None = None,
        finished: float | None = None,
        worker: int | None = None,
        device: str | None = None,
        error: str | None = None,
    ) -> FoldRecord:
        if environment not in self._versions:
            (text,) = self._db.execute(
                "SELECT versions FROM environments WHERE id = ?", (environment,)
            ).fetchone()
            self._versions[environment] = json.loads(text)
        return FoldRecord(
            key=key,
            scorer=scorer,
            state=FoldState(state),
            test_score=None if test_score is None else json.loads(test_score),
            train_score=None if train_score is None else json.loads(train_score),
            n_test_samples=n_test_samples,
            fit_time=fit_time,
            score_time=score_time,
            attempts=attempts,
            versions=self._versions[environment],
            started=started,
            finished=finished,
            worker=worker,
            device=device,
            error=error,
        )

    def _translated(self) -> Any:
        return translated(self.path)


def _connect_to_read(path: Path) -> sqlite3.Connection:
    address = path.absolute().as_uri()
    try:
        db = sqlite3.connect(
            f"{address}?mode=ro", uri=True, timeout=BUSY_SECONDS, isolation_level=None
        )
        db.execute("SELECT 1 FROM sqlite_schema").fetchone()
    except sqlite3.OperationalError:
        # SQLite wants to make files beside it. Where it cannot, nobody writes either.
        log = path.with_name(f"{path.name}-wal")
        if os.access(path.parent, os.W_OK) or log.exists():
            raise
        db.close()
        db = sqlite3.connect(
            f"{address}?mode=ro&immutable=1", uri=True, isolation_level=None
        )
    return db


def _chunks(items: list[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _parts(text: str) -> dict[str, dict[str, tuple[str, str]]]:
    return {
        part: {name: (key, value) for name, (key, value) in values.items()}
        for part, values in json.loads(text).items()
    }
