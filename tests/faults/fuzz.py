"""Hostile checkpoints: made from a number, opened, read, resumed from.

Each must end in a result or a `CheckpointError`, in a few seconds, and no file but
the checkpoint's own may change. It runs in a process of its own, since a crash or a
hang of SQLite itself could not be caught otherwise::

    python -m tests.faults.fuzz FIRST LAST
"""

import faulthandler
import json
import os
import random
import resource
import shutil
import sqlite3
import sys
import tempfile
import warnings
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path

from resumable_search import CheckpointError, CheckpointFormatError, read_results
from resumable_search._checkpoint.reader import CheckpointReader
from resumable_search._checkpoint.relatives import (
    all_changes,
    nearest_relative,
    outdated_relatives,
    with_details,
)
from resumable_search._checkpoint.store import CheckpointStore
from resumable_search._checkpoint.verifying import find_problems
from resumable_search._fit.declared import require_same_data
from resumable_search._fit.random_states import is_state
from resumable_search._results import view_search
from tests.contracts.test_store import DATA, candidate, failed, record, search

# Seconds that an input may take.
LIMIT = 20

PAGE = 4096
NAME = "checkpoint.sqlite"
OWN = {NAME, f"{NAME}-wal", f"{NAME}-shm", f"{NAME}-journal"}

VALUES = [
    "NULL",
    "0",
    "-1",
    "9223372036854775807",
    "1e999",
    "1.5",
    "''",
    "'text'",
    "x''",
    "x'8004952e'",
    "CAST(x'ff00fe' AS TEXT)",
    "CAST(x'00' AS TEXT)",
    "'[]'",
    "'{}'",
    "'null'",
    "'NaN'",
    "'-Infinity'",
    "'1e400'",
    "'true'",
    "'[[1, 2], [3]]'",
    "'{\"a\": 1}'",
    '\'{"a": {"b": [1]}}\'',
    '\'{"": ["\\ud800"]}\'',
    '\'{"estimator": {"": ["k", "Logged"]}}\'',
    '\'{"estimator": {"C": ["k", "\x1b[2J"]}, "data": {"X": ["k", "X"]}}\'',
    '\'{"data": {"data_key": ["name", "name"], "X": ["k", "other"]}}\'',
    "'[[1.0, 2.0], [3.0], [3.0]]'",
    "'[[NaN, 1e999], [-Infinity], [NaN]]'",
    "'[[1.0, true], [null], [[]]]'",
    "'[[], [], []]'",
    f"'[[{'9' * 400}, 2.0], [3.0], [{'9' * 400}]]'",
    '\'{"a": 1, "a": 2}\'',
    f"'{'[' * 3000}'",
    f"'{'[' * 3000}{']' * 3000}'",
    "'" + '{"a":' * 3000 + "1" + "}" * 3000 + "'",
    f"'{'9' * 6000}'",
    "randomblob(100000)",
    "hex(randomblob(100000))",
    "'fold 1'",
    "'candidate 0'",
    "'done'",
    "'failed'",
]


def build(directory):
    """Make the checkpoints that are changed: new, old, and with a log beside it."""
    new = directory / "new.sqlite"
    store = CheckpointStore(new)
    fill(store)
    store.close()
    old = [directory / name for name in ("format-1.sqlite", "format-2.sqlite")]
    for path in old:
        shutil.copy(DATA / path.name, path)
    writing = CheckpointStore(directory / "writing.sqlite")
    fill(writing)
    for name in ("writing.sqlite", "writing.sqlite-wal"):
        shutil.copy(directory / name, directory / name.replace("writing", "logged"))
    writing.close()
    return [new, *old, directory / "logged.sqlite"]


def described(key, numbers, **values):
    """Give a search with a name for its data, and details."""
    sample = json.dumps([numbers, numbers, numbers])
    return search(
        key,
        parts={
            "estimator": {"": ("class", "Logged"), "C": (key, key)},
            "data": {"data_key": ("name", "name"), "X": ("name", "X")},
        },
        details={
            "code": {"Logged.fit": (key, "a function")},
            "sample": {"X": (key, sample)},
            "same items": {"C": ("items", "")},
        },
        **values,
    )


def fill(store):
    searches = [search("search"), search("other"), described("third", [1.0, 2.0])]
    for one in searches:
        number = store.register(one)
        store.describe(
            number,
            [candidate(0), candidate(1)],
            [(0, split, f"split {split}") for split in range(3)],
            2,
        )
    store.save([record(f"fold {i}", test_score=i / 7) for i in range(60)])
    store.save([record("dict", test_score={"a": 1.0, "b": 2.0})])
    store.save([failed(key=f"failed {i}", error=f"why {i} " * 900) for i in range(5)])
    state = {"key": list(range(624)), "pos": 3}
    store.save_random_state(
        "cv",
        {"bit_generator": "MT19937", "state": state, "has_gauss": 0, "gauss": 0.0},
    )


# ---------------------------------------------------------------------------
# What is done to a file


def flip(path, chance):
    """Change bytes, more often where numbers of pages and cells stand."""
    target = path
    log = path.with_name(f"{path.name}-wal")
    if log.exists() and chance.random() < 0.5:
        target = log
    content = bytearray(target.read_bytes())
    for _ in range(chance.choice([1, 1, 3, 20])):
        place = chance.randrange(len(content))
        if chance.random() < 0.5:
            place = place - place % PAGE + chance.randrange(110)
        if place < len(content):
            content[place] = chance.choice([0, 1, 255, chance.randrange(256)])
    target.write_bytes(content)


def cut(path, chance):
    """Cut off the end, or add one."""
    content = path.read_bytes()
    if chance.random() < 0.7:
        content = content[: chance.randrange(len(content))]
    else:
        content += chance.randbytes(chance.randrange(3 * PAGE))
    path.write_bytes(content)


def splice(path, chance):
    """Put pages in the place of others."""
    content = bytearray(path.read_bytes())
    n_pages = len(content) // PAGE
    for _ in range(chance.choice([1, 1, 2, 5])):
        one, other = (chance.randrange(n_pages) * PAGE for _ in range(2))
        page = content[one : one + PAGE]
        if chance.random() < 0.5:
            content[one : one + PAGE] = content[other : other + PAGE]
        if chance.random() < 0.2:
            page = chance.randbytes(PAGE)
        content[other : other + PAGE] = page
    path.write_bytes(content)


def set_values(path, chance):
    """Put values of other kinds into columns, in spite of all constraints."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA ignore_check_constraints = ON")
        rows = database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        tables = [name for (name,) in rows]
        for _ in range(chance.choice([1, 1, 2, 6])):
            table = chance.choice(tables)
            rows = database.execute(f"PRAGMA table_info({table})")
            column, value = (
                chance.choice([row[1] for row in rows]),
                chance.choice(VALUES),
            )
            one = f"{column} = (SELECT max({column}) FROM {table})"
            where = chance.choice(["1", one])
            with suppress(sqlite3.Error):
                database.execute(f"UPDATE {table} SET {column} = {value} WHERE {where}")


def change_schema(path, chance):
    """Put other text into the table of tables."""
    statements = [
        "CREATE TRIGGER t AFTER UPDATE ON searches BEGIN DELETE FROM folds; END",
        "CREATE VIEW folds2 AS WITH RECURSIVE r AS (SELECT 1 UNION ALL SELECT 1 FROM r)"
        " SELECT * FROM r",
        "CREATE VIRTUAL TABLE v USING fts5(x)",
        "CREATE INDEX i ON folds (abs(fit_time))",
        "ALTER TABLE folds ADD COLUMN g AS (hex(key))",
        "ALTER TABLE searches ADD COLUMN d DEFAULT 'text'",
        "PRAGMA user_version = -5",
        "PRAGMA user_version = 1",
        "PRAGMA user_version = 2",
        "PRAGMA user_version = 0",
        "PRAGMA application_id = 0",
        "PRAGMA journal_mode = DELETE",
        "VACUUM",
        "DROP TABLE folds",
        "DELETE FROM environments",
        "ANALYZE",
    ]
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        if chance.random() < 0.5:
            with suppress(sqlite3.Error):
                database.execute(chance.choice(statements))
            return
        database.execute("PRAGMA writable_schema = ON")
        rows = database.execute(
            "SELECT rowid, type, name, tbl_name, rootpage, sql FROM sqlite_schema"
        ).fetchall()
        row = chance.choice(rows)
        column = chance.choice(["type", "name", "tbl_name", "rootpage", "sql", "sql"])
        if column == "rootpage":
            value = chance.choice([0, 1, 2, 10**9, -1, *(r[4] for r in rows)])
        else:
            text = row[5] or "x"
            place = chance.randrange(len(text))
            words = ["", ")", "(", "'", ";", " GENERATED ALWAYS AS (1)", " CHECK (1/0)"]
            words += ["view", "trigger", "index", "folds", "sqlite_x", "\x00", "--"]
            word = chance.choice(words)
            value = text[:place] + word + text[place + chance.randrange(9) :]
            value = chance.choice([value, word, "CREATE VIEW folds AS SELECT 1"])
        with suppress(sqlite3.Error):
            database.execute(
                f"UPDATE sqlite_schema SET {column} = ? WHERE rowid = ?",
                (value, row[0]),
            )


def add_log(path, chance):
    """Put a log beside it that is sound as such, and has hostile pages."""
    with tempfile.TemporaryDirectory(dir=path.parent.parent.parent) as name:
        copy = Path(name) / NAME
        shutil.copy(path, copy)
        # Two connections, so that the log stays when one of them closes.
        with closing(sqlite3.connect(copy)) as one, closing(sqlite3.connect(copy)):
            with suppress(sqlite3.Error):
                one.execute("PRAGMA journal_mode = WAL").fetchall()
            chance.choice([set_values, change_schema])(copy, chance)
            for ending in ("", "-wal"):
                if copy.with_name(f"{NAME}{ending}").exists():
                    shutil.copy(f"{copy}{ending}", f"{path}{ending}")


def add_journal(path, chance):
    """Put a rollback journal beside it."""
    magic = bytes.fromhex("d9d505f920a163d7")
    numbers = [chance.choice([0, 1, 5, 2**32 - 1]) for _ in range(3)]
    numbers += [chance.choice([512, 4096, 0]), chance.choice([4096, 512, 0])]
    content = (magic + b"".join(n.to_bytes(4, "big") for n in numbers)).ljust(
        512, b"\0"
    )
    for _ in range(chance.randrange(3)):
        page = path.read_bytes()[:PAGE]
        content += chance.randrange(9).to_bytes(4, "big") + page + chance.randbytes(4)
    if chance.random() < 0.5:
        name = os.fsencode(path.parent.parent / "precious")
        sums = len(name).to_bytes(4, "big") + sum(name).to_bytes(4, "big")
        content += bytes(4) + name + sums + magic
    if chance.random() < 0.3:
        content = content[: chance.randrange(len(content))]
    path.with_name(f"{NAME}-journal").write_bytes(content)


CHANGES = [flip, flip, cut, splice, set_values, set_values, change_schema]
CHANGES += [add_log, add_journal]


# ---------------------------------------------------------------------------
# What is done with it then


def use(path):
    """Read as those who look on do, then as a search does, and write."""
    outcomes = [outcome_of(look_on, path), outcome_of(read_results, path)]
    before = path.read_bytes()
    is_alone = not any(path.with_name(name).exists() for name in OWN - {NAME})
    if outcome_of(open_only, path) == "refused" and is_alone:
        # But for its header, where another program has set another kind of log.
        assert path.read_bytes()[100:] == before[100:], "it was changed"
    return [*outcomes, outcome_of(resume, path)]


def outcome_of(action, path):
    try:
        action(path)
    except CheckpointFormatError:
        return "refused"
    except CheckpointError:
        return "error"
    return "read"


def look_on(path):
    reader = CheckpointReader(path)
    try:
        read(reader)
    finally:
        reader.close()
    for problem in find_problems(path):
        assert problem


def open_only(path):
    CheckpointStore(path).close()


def resume(path):
    store = CheckpointStore(path)
    try:
        begin(store, search("new"))
        begin(store, described("newer", [1.0, 2.5], run="newer"))
        number = store.register(search())
        store.describe(number, [candidate(0)], [(0, 0, "split 0")], 1)
        store.save([record("fold 1"), record("new"), failed(key="failed 1")])
        store.save_random_state("other", [1])
        assert store.find(["new"])
    finally:
        store.close()


def begin(store, new):
    """Do with the searches that are there what one that starts does."""
    others = read(store)
    try:
        require_same_data(new, others, store.details)
    except ValueError as exc:  # the file may say that the data had been other
        if "must be a name for one set of data" not in str(exc):
            raise
    for is_inner in (False, True):
        found = nearest_relative(new, others, is_inner=is_inner)
        if found is not None:
            details = store.details(found[0].number)
            for change in with_details(found[1], details, new.details):
                str(change)
    store.register(new)
    outdated = outdated_relatives(new, others)
    store.tell_of(outdated)
    for old in outdated:
        view_search(store, old).n_completed()


def read(reader):
    searches = reader.searches()
    for found in searches:
        for one in reader.candidates(found.number):
            one.values()
        reader.splits(found.number)
        for change in all_changes(
            found, searches[0], reader.details(found.number), reader.details(1)
        ):
            str(change)
    keys = [f"{kind} {i}" for kind in ("fold", "failed") for i in range(60)]
    reader.find([*keys, "dict"])
    reader.find_all([*keys, "dict"])
    is_state(reader.random_state("cv"))
    return searches


def snapshot(directory):
    """Give all files but the checkpoint's own."""
    return {
        str(path): path.read_bytes() if path.is_file() else path.lstat().st_mode
        for path in sorted(directory.rglob("*"))
        if path.name not in OWN
    }


def run(number, sources, directory):
    """Make the checkpoint of a number, and use it."""
    chance = random.Random(number)
    source = chance.choice(sources)
    place = directory / "place"
    place.mkdir()
    path = place / NAME
    shutil.copy(source, path)
    if source.with_name(f"{source.name}-wal").exists():
        shutil.copy(f"{source}-wal", f"{path}-wal")
    for _ in range(chance.choice([1, 1, 1, 2])):
        change = chance.choice(CHANGES)
        # Some are already too damaged for another change.
        with suppress(sqlite3.Error, ValueError, LookupError):
            change(path, chance)
        if change is add_journal:  # another change would be made through it
            break
    before = snapshot(directory)
    outcomes = use(path)
    assert snapshot(directory) == before, "another file has changed"
    shutil.rmtree(place)
    return outcomes


def main(first, last):
    """Run all numbers; say which it is where something goes wrong."""
    resource.setrlimit(resource.RLIMIT_AS, (4 * 2**30, 4 * 2**30))
    warnings.simplefilter("error")
    outcomes = Counter()
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        directory = Path(name)
        (directory / "sources").mkdir()
        sources = build(directory / "sources")
        canary = directory / "canary"
        canary.mkdir()
        (canary / "precious").write_bytes(b"precious")
        (canary / "neighbour.sqlite").write_bytes(sources[0].read_bytes())
        for number in range(first, last):
            faulthandler.dump_traceback_later(LIMIT, exit=True)
            try:
                outcomes.update(run(number, sources, canary))
            except BaseException:
                print(f"number {number}", file=sys.stderr)
                raise
            print(number, flush=True)
    faulthandler.cancel_dump_traceback_later()
    print(dict(outcomes))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
