"""Whatever a file holds, opening and reading it does nothing else, and ends."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytestmark = pytest.mark.filterwarnings(
    # Killed before anything was stored: there is no -wal file either.
    "ignore::resumable_search.CheckpointLogWarning"
)

ROOT = Path(__file__).parents[2]


def fuzz(numbers):
    """Run them in a process of its own; give the last that it wrote."""
    process = subprocess.run(
        [sys.executable, "-m", "tests.faults.fuzz", *map(str, numbers)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    last = process.stdout.splitlines()[-1:]
    assert process.returncode == 0, (process.returncode, last, process.stderr)
    return last


def test_hostile_checkpoints_are_read_or_refused():
    """Each ends in a result or a CheckpointError, and changes no other file."""
    fuzz((0, 200))


@pytest.mark.faults
@pytest.mark.timeout(3600)
def test_many_hostile_checkpoints_are_read_or_refused(capsys):
    """The same for thousands of them."""
    starts = range(1000, 6_000, 1000)
    numbers = [(start, start + 1000) for start in starts]
    with ThreadPoolExecutor(2) as threads:
        for start, outcomes in zip(starts, threads.map(fuzz, numbers), strict=True):
            with capsys.disabled():
                print(f"from {start}: {outcomes}")
