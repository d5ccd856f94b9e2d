"""After a loss of power, every fold whose `save` had returned is there.

What a process does to the disk is recorded, and replayed up to each step with what
the disk may hold then: everything, what was synced, or any part of the rest.
"""

import json
import os
import shutil
import tempfile
import textwrap
from pathlib import Path

import pytest

from resumable_search._checkpoint.store import CheckpointStore
from tests.contracts.test_store import record as new_record
from tests.faults.checks import assert_sound
from tests.faults.power_loss import (
    Disk,
    Some,
    everything,
    nothing,
    record,
    why_not,
    write_image,
)

CHECKPOINT = ".resumable_search/checkpoint.sqlite"

MARKS = """
    import json, os
    from resumable_search._checkpoint.store import CheckpointStore

    save = CheckpointStore.save

    def save_and_tell(store, records, **options):
        save(store, records, **options)
        done = {r.key: r.test_score for r in records if r.state == "done"}
        os.write(1, json.dumps(done).encode())

    CheckpointStore.save = save_and_tell
"""

# Long enough that SQLite writes the log back into the file, starts the log anew and
# removes it; with failures, and with what a search notes of itself.
STORE = """
    from resumable_search._checkpoint.locations import resolve_checkpoint
    from tests.contracts.test_store import candidate, failed, record, search

    for run in range(3):
        store = CheckpointStore(resolve_checkpoint(None))
        store._db.execute("PRAGMA wal_autocheckpoint = 12")
        number = store.register(search())
        store.describe(number, [candidate(0)], [(0, 0, "split")], 1)
        store.save_random_state("cv", [1, 2])
        for i in range(10):
            name = f"{run}-{i}"
            store.save([record(name, test_score=float(i))])
            store.save([failed(key=f"failed {name}", error=name * 1000)])
        names = [f"{run}-{i}" for i in range(100, 200)]
        store.save([record(name, test_score=float(name[2:])) for name in names])
        store.close()
"""

SEARCH = """
    import numpy as np
    from resumable_search import ResumableGridSearchCV
    from tests.fakes import Logged

    X, y = np.arange(24.0).reshape(12, 2), np.array([0, 1] * 6)
    grid = {"value": [0.0, 1.0, 2.0, 3.0]}
    for values in grid, {"value": [0.0, 5.0]}:
        ResumableGridSearchCV(Logged("fits.log"), values, cv=2, n_jobs=2).fit(X, y)
"""

impossible = why_not()
pytestmark = [
    pytest.mark.skipif(impossible is not None, reason=str(impossible)),
    # The power went before anything was stored: there is no -wal file either.
    pytest.mark.filterwarnings("ignore::resumable_search.CheckpointLogWarning"),
]


@pytest.fixture(scope="module", params=[STORE, SEARCH], ids=["store", "search"])
def steps(request, tmp_path_factory):
    """Give all that a process did to the disk, and when it had saved what."""
    directory = tmp_path_factory.mktemp("recorded")
    script = tmp_path_factory.mktemp("script") / "script.py"
    script.write_text(textwrap.dedent(MARKS) + textwrap.dedent(request.param))
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    return record(script, directory, environment)


@pytest.fixture
def place():
    """Give a directory where a sync costs nothing."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        yield Path(name)


def check_all(steps, place, choices):
    """Check the images that `choices` (number of step -> choices) asks for."""
    disk, checked, n_images = Disk(), set(), 0
    marks = [json.loads(step.data) for step in steps if step.kind == "mark"]
    scores = {key: score for mark in marks for key, score in mark.items()}
    saved = {}
    for number, step in enumerate(steps):
        disk.apply(step)
        if step.kind == "mark":
            saved.update(json.loads(step.data))
        for choice in choices(number):
            image = disk.image(choice)
            seen = hash((len(saved), *image.items()))
            if seen in checked:
                continue
            checked.add(seen)
            n_images += 1
            check(image, place / str(n_images), saved, scores, number)
    return n_images


def check(image, directory, saved, scores, number):
    """Open what is left: all that was saved is there, and nothing that is wrong."""
    directory.mkdir()
    write_image(image, directory)
    path = directory / CHECKPOINT
    if not path.parent.is_dir():
        assert not saved, f"step {number}: the directory is gone"
        path.parent.mkdir()
    if saved:
        assert path.exists(), f"step {number}: the file is gone"
    store = CheckpointStore(path)
    found = {
        key: by_scorer.popitem()[1].test_score
        for key, by_scorer in store.find(scores).items()
    }
    assert {key: found.get(key) for key in saved} == saved, f"step {number}"
    assert found.items() <= scores.items(), f"step {number}"
    # And the search can go on.
    store.save([new_record("new")])
    store.close()
    assert_sound(path)
    shutil.rmtree(directory)


def test_what_was_synced_holds_every_saved_fold(steps, place):
    """At each step: if all that was not synced is lost, no saved fold is."""
    assert sum(step.kind == "mark" for step in steps) > 5
    n_images = check_all(steps, place, lambda number: [nothing])
    assert n_images > 10


def test_a_kill_at_any_step_leaves_every_saved_fold(steps, place):
    """The operating system writes the rest."""
    check_all(steps, place, lambda number: [everything][number % 2 :])


def test_whatever_else_reached_the_disk_does_no_harm(steps, place):
    """Any part of what was not synced may be there, torn between sectors."""
    check_all(steps, place, lambda number: [Some(number)][number % 2 :])


@pytest.mark.faults
@pytest.mark.timeout(1800)
def test_every_step_in_many_ways(steps, place, capsys):
    """All of the above, at each step, and twenty ways to lose what was not synced."""
    n_images = check_all(
        steps,
        place,
        lambda number: [everything, nothing, *(Some((number, i)) for i in range(20))],
    )
    with capsys.disabled():
        print(f"{len(steps)} steps, {n_images} images")
