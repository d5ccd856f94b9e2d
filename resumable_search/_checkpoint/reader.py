"""Reading a checkpoint: by the search that writes it, or by somebody who looks on.

Reading runs no code and takes no lock, so it may be done at any time, from any
process, while searches write to the file.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from .._records import CandidateRecord, FoldRecord, FoldState, SearchRecord
from .errors import BUSY_SECONDS, damaged, require_file, translated
from .rows import (
    WrongValueError,
    number,
    optional,
    parsed,
    score,
    table,
    text,
    whole,
)
from .schema import closed_on_failure, prepare_to_read
from .strangers import beside, check_journal

__all__ = ["CheckpointReader", "connect_to_read"]

# More than anybody can run; a larger number would only fill the memory.
_MOST_FOLDS = 10_000_000

# SQLite takes this many values in one statement in every version.
_MOST_VALUES = 900

_FOLD_COLUMNS = """
folds.key, folds.scorer, folds.state, folds.test_score, folds.train_score,
folds.n_test_samples, folds.fit_time, folds.score_time, folds.attempts,
folds.environment, folds.warned, folds.error_filters
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
        require_file(path)
        check_journal(path)
        with self._translated():
            self._db = connect_to_read(path)
            with closed_on_failure(self._db):
                prepare_to_read(self._db, path)

    def _begin(self, path: Path) -> None:
        self.path = path
        self._pid = os.getpid()
        self._versions: dict[int, dict[str, str]] = {}

    # ------------------------------------------------------------------
    # Folds

    def find(self, keys: Iterable[str]) -> dict[str, dict[str, FoldRecord]]:
        """Return the finished folds among `keys`: key -> scorer -> record."""
        return self._find(_FIND_FOLDS, keys)

    def find_all(self, keys: Iterable[str]) -> dict[str, dict[str, FoldRecord]]:
        """Return finished and failed folds, each with when, where and why."""
        return self._find(_FIND_ALL, keys)

    def _find(
        self, statement: str, keys: Iterable[str]
    ) -> dict[str, dict[str, FoldRecord]]:
        found: dict[str, dict[str, FoldRecord]] = {}
        with self._rows_of("folds"):
            for chunk in _chunks(list(keys), _MOST_VALUES):
                marks = ",".join("?" * len(chunk))
                for row in self._db.execute(statement.format(marks), chunk):
                    record = self._fold(*row)
                    found.setdefault(record.key, {})[record.scorer] = record
        return found

    # ------------------------------------------------------------------
    # Searches

    def searches(self) -> list[SearchRecord]:
        """Return all searches, the one that was started last first."""
        with self._rows_of("searches"):
            rows = self._db.execute(
                "SELECT id, key, family, kind, run, n_splits, n_candidates, scorers, "
                "metric, parts, created, started, key_rules FROM searches "
                "ORDER BY started DESC, id DESC"
            )
            return [_search(*row) for row in rows]

    def candidates(self, search: int) -> list[CandidateRecord]:
        """Return the candidates of a search in their order."""
        with self._rows_of("candidates"):
            rows = self._db.execute(
                "SELECT position, round, key, parameters FROM candidates "
                "WHERE search = ? ORDER BY position",
                (search,),
            )
            return [_candidate(*row) for row in rows]

    def splits(self, search: int) -> dict[int, dict[int, str]]:
        """Return the splits of a search: round -> position -> key."""
        found: dict[int, dict[int, str]] = {}
        with self._rows_of("splits"):
            for round_, position, key in self._db.execute(
                "SELECT round, position, key FROM splits WHERE search = ? "
                "ORDER BY round, position",
                (search,),
            ):
                found.setdefault(whole(round_), {})[whole(position)] = text(key)
        return found

    def details(self, search: int) -> dict[str, dict[str, tuple[str, str]]]:
        """Return what its parts are made of: part -> path -> (key, text)."""
        found: dict[str, dict[str, tuple[str, str]]] = {}
        with self._rows_of("details"):
            for part, path, key, words in self._db.execute(
                "SELECT part, path, key, text FROM details WHERE search = ? "
                "ORDER BY part, path",
                (search,),
            ):
                found.setdefault(text(part), {})[text(path)] = text(key), text(words)
        return found

    # ------------------------------------------------------------------
    # Random states

    def random_state(self, key: str) -> Any:
        """Return the random state that was stored under `key`, or None."""
        with self._rows_of("random_states"):
            row = self._db.execute(
                "SELECT state FROM random_states WHERE key = ?", (key,)
            ).fetchone()
            return None if row is None else parsed(row[0])

    def close(self) -> None:
        """Close the file."""
        if self._pid == os.getpid():
            self._db.close()

    # ------------------------------------------------------------------

    def _fold(
        self,
        key: object,
        scorer: object,
        state: object,
        test_score: object,
        train_score: object,
        n_test_samples: object,
        fit_time: object,
        score_time: object,
        attempts: object,
        environment: object,
        warned: object,
        error_filters: object,
        started: object = None,
        finished: object = None,
        worker: object = None,
        device: object = None,
        error: object = None,
    ) -> FoldRecord:
        return FoldRecord(
            key=text(key),
            scorer=text(scorer),
            state=_state(state),
            # What is done has a score.
            test_score=score(test_score)
            if state == FoldState.DONE
            else optional(score, test_score),
            train_score=optional(score, train_score),
            n_test_samples=whole(n_test_samples),
            fit_time=number(fit_time),
            score_time=number(score_time),
            attempts=whole(attempts),
            versions=self._environment_of(whole(environment)),
            warned=bool(whole(warned)),
            error_filters=text(error_filters),
            started=optional(number, started),
            finished=optional(number, finished),
            worker=optional(whole, worker),
            device=optional(text, device),
            error=optional(text, error),
        )

    def _environment_of(self, environment: int) -> dict[str, str]:
        if environment not in self._versions:
            with self._rows_of("environments"):
                row = self._db.execute(
                    "SELECT versions FROM environments WHERE id = ?", (environment,)
                ).fetchone()
                if row is None:
                    raise WrongValueError(f"the row {environment} is not there")
                self._versions[environment] = table(text, parsed(row[0]))
        return self._versions[environment]

    @contextlib.contextmanager
    def _rows_of(self, name: str) -> Iterator[None]:
        """Say of a wrong value in which table it is."""
        with self._translated():
            try:
                yield
            except WrongValueError as exc:
                raise damaged(self.path, f"in the table {name!r}: {exc}") from exc

    def _translated(self) -> Any:
        return translated(self.path)


def connect_to_read(path: Path) -> sqlite3.Connection:
    address = path.absolute().as_uri()
    try:
        return _connect(f"{address}?mode=ro")
    except sqlite3.OperationalError:
        # SQLite wants to make files beside it. Where it cannot, nobody writes either.
        log = beside(path, "-wal")
        if os.access(path.parent, os.W_OK) or log.exists():
            raise
    return _connect(f"{address}?mode=ro&immutable=1")


def _connect(address: str) -> sqlite3.Connection:
    db = sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
    with closed_on_failure(db):
        db.execute("SELECT 1 FROM sqlite_schema").fetchone()
    return db


def _chunks(items: list[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _state(value: object) -> FoldState:
    try:
        return FoldState(text(value))
    except ValueError as exc:
        raise WrongValueError(f"expected a state, got {value!r:.40}") from exc


def _search(
    id_: object,
    key: object,
    family: object,
    kind: object,
    run: object,
    n_splits: object,
    n_candidates: object,
    scorers: object,
    metric: object,
    parts: object,
    created: object,
    started: object,
    key_rules: object,
) -> SearchRecord:
    return SearchRecord(
        number=whole(id_),
        key=text(key),
        family=text(family),
        kind=text(kind),
        run=text(run),
        n_splits=_count(n_splits, 1),
        n_candidates=_count(n_candidates),
        scorers=table(text, parsed(scorers)),
        metric=text(metric),
        parts=table(_part, parsed(parts)),
        created=number(created),
        started=number(started),
        key_rules=whole(key_rules),
    )


def _candidate(
    position: object, round_: object, key: object, parameters: object
) -> CandidateRecord:
    return CandidateRecord(
        position=whole(position),
        round=whole(round_),
        key=text(key),
        parameters=table(_parameter, parsed(parameters)),
    )


def _count(value: object, least: int = 0) -> int:
    count = whole(value)
    if not least <= count <= _MOST_FOLDS:
        raise WrongValueError(f"{count} candidates or splits are too many or too few")
    return count


def _part(value: object) -> dict[str, tuple[str, str]]:
    return table(_keyed_text, value)


def _keyed_text(value: object) -> tuple[str, str]:
    if not isinstance(value, list) or len(value) != 2:
        raise WrongValueError(f"expected a key and a text, got {value!r:.40}")
    return text(value[0]), text(value[1])


def _parameter(value: object) -> tuple[Any, ...]:
    """Return (text,) or (text, value), where the value is a plain one."""
    if not isinstance(value, list) or len(value) not in (1, 2):
        raise WrongValueError(f"expected a parameter, got {value!r:.40}")
    if isinstance(value[-1], dict | list):
        raise WrongValueError(f"expected a plain value, got {value!r:.40}")
    return (text(value[0]), *value[1:])
