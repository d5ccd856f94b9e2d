"""Devices, module stamps, random states, locations, locks."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    LeaveOneOut,
    RepeatedKFold,
    ShuffleSplit,
    StratifiedKFold,
)

from resumable_search import (
    CheckpointAddressError,
    CheckpointLocationWarning,
    CheckpointLockedError,
    CheckpointWriteError,
)
from resumable_search._checkpoint.locations import resolve_checkpoint
from resumable_search._checkpoint.locks import SearchLock
from resumable_search._fit.random_states import RecordedSplitter, is_unseeded
from resumable_search._gpu.devices import holds_gpu

# ---------------------------------------------------------------------------
# Devices


def make_device_files(tmp_path, opened):
    driver = tmp_path / "nvidiactl"
    driver.touch()
    files = tmp_path / "fd"
    files.mkdir()
    for number, name in enumerate(opened):
        (files / str(number)).symlink_to(tmp_path / name)
    return driver, files


@pytest.mark.parametrize(
    ("opened", "expected"),
    [
        ([], False),
        (["null", "nvidiactl"], False),
        (["nvidia-uvm"], False),
        (["null", "nvidia0"], True),
        (["nvidia12"], True),
    ],
)
def test_a_process_holds_a_gpu_if_it_has_its_device_file_open(
    tmp_path, opened, expected
):
    """The control file alone is no context on a GPU."""
    assert holds_gpu(*make_device_files(tmp_path, opened)) is expected


def test_without_a_driver_no_process_holds_a_gpu(tmp_path):
    """Nothing else is looked at then."""
    assert holds_gpu(tmp_path / "nvidiactl", tmp_path / "missing") is False


# ---------------------------------------------------------------------------
# Random states


@pytest.mark.parametrize(
    ("cv", "expected"),
    [
        (None, False),
        (3, False),
        (KFold(3), False),
        (KFold(3, shuffle=True), True),
        (KFold(3, shuffle=True, random_state=0), False),
        (StratifiedKFold(3, shuffle=True), True),
        (ShuffleSplit(), True),
        (RepeatedKFold(), True),
        (GroupKFold(), False),
        (LeaveOneOut(), False),
    ],
)
def test_a_splitter_is_unseeded_if_it_draws_without_a_seed(cv, expected):
    """Splitters that do not shuffle need no record."""
    assert is_unseeded(cv) is expected


def test_an_unseeded_splitter_repeats_its_first_splits():
    """The first time it draws as it always does, then from the recorded state."""
    record = {}

    def recall(state):
        return (
            record.setdefault("state", state) if record else record.update(state=state)
        )

    X = np.zeros((20, 1))
    np.random.seed(3)
    expected = [test for _, test in ShuffleSplit(4).split(X)]
    np.random.seed(3)
    first = [test for _, test in RecordedSplitter(ShuffleSplit(4), recall).split(X)]
    np.random.seed(4)
    again = [test for _, test in RecordedSplitter(ShuffleSplit(4), recall).split(X)]
    np.testing.assert_array_equal(first, expected)
    np.testing.assert_array_equal(again, expected)


# ---------------------------------------------------------------------------
# Locations


def test_the_default_checkpoint_keeps_itself_out_of_version_control(tmp_path):
    """It is in a directory of its own that version control ignores."""
    path = resolve_checkpoint(None)
    assert path == tmp_path / ".resumable_search" / "checkpoint.sqlite"
    assert "*" in (path.parent / ".gitignore").read_text().splitlines()


def test_the_environment_variable_comes_after_the_parameter(tmp_path, monkeypatch):
    """It names the file where the parameter does not."""
    monkeypatch.setenv("RESUMABLE_SEARCH_CHECKPOINT", str(tmp_path / "a" / "b.sqlite"))
    assert resolve_checkpoint(None) == tmp_path / "a" / "b.sqlite"
    assert resolve_checkpoint("c.sqlite") == tmp_path / "c.sqlite"


@pytest.mark.parametrize(
    "address",
    [
        "s3://bucket/checkpoint.sqlite",
        Path("s3://bucket/checkpoint.sqlite"),
        "https://example.org/c.sqlite",
        "postgresql://host/database",
        "sqlite:///c.sqlite",
        ":memory:",
    ],
    ids=repr,
)
def test_an_address_is_refused(tmp_path, address):
    """It would be a directory on this machine, and lost with it."""
    with pytest.raises(CheckpointAddressError, match="path of a file on this machine"):
        resolve_checkpoint(address)
    assert list(tmp_path.iterdir()) == []


def test_an_address_in_the_environment_is_refused(monkeypatch):
    """The error names the variable."""
    monkeypatch.setenv("RESUMABLE_SEARCH_CHECKPOINT", "gs://bucket/c.sqlite")
    with pytest.raises(CheckpointAddressError, match="RESUMABLE_SEARCH_CHECKPOINT"):
        resolve_checkpoint(None)


@pytest.mark.parametrize("name", ["C:\\c.sqlite", "run:1.sqlite", "s3.sqlite"])
def test_names_with_a_colon_are_paths(name):
    """A drive of Windows, and whatever else a file may be called."""
    assert resolve_checkpoint(name).name.endswith(".sqlite")


def test_where_the_directory_cannot_be_written_the_cache_is_used(tmp_path, monkeypatch):
    """A warning says where the checkpoint is."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir("/proc")
    with pytest.warns(CheckpointLocationWarning, match="cache"):
        path = resolve_checkpoint(None)
    assert tmp_path in path.parents


def test_a_link_stands_for_the_file_that_it_leads_to(tmp_path):
    """Locks and other files are beside that."""
    (tmp_path / "link.sqlite").symlink_to(tmp_path / "real.sqlite")
    assert resolve_checkpoint("link.sqlite") == tmp_path / "real.sqlite"


def test_a_given_place_that_cannot_be_made_is_an_error():
    """Nobody's choice is replaced by another."""
    with pytest.raises(CheckpointWriteError, match="cannot be made"):
        resolve_checkpoint("/proc/a/checkpoint.sqlite")


# ---------------------------------------------------------------------------
# Locks

HOLDER = (
    "import sys; from pathlib import Path; "
    "from resumable_search._checkpoint.locks import SearchLock; "
    "lock = SearchLock(Path(sys.argv[1]), 'key'); lock.acquire(); "
    "print('held', flush=True); sys.stdin.read()"
)


def test_a_lock_names_its_holder_and_ends_with_it(tmp_path):
    """It is the operating system's: a killed holder holds nothing."""
    checkpoint = tmp_path / "checkpoint.sqlite"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(checkpoint)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout.readline() == "held\n"
    lock = SearchLock(checkpoint, "key")
    with pytest.raises(CheckpointLockedError, match=f"process {holder.pid} on"):
        lock.acquire()
    other = SearchLock(checkpoint, "another search")
    other.acquire()
    other.release()
    holder.kill()
    holder.communicate()
    lock.acquire()
    lock.release()


def test_a_released_lock_leaves_no_file(tmp_path):
    """A search that is over leaves nothing beside the checkpoint but a directory."""
    lock = SearchLock(tmp_path / "checkpoint.sqlite", "key")
    lock.acquire()
    lock.release()
    assert list((tmp_path / ".checkpoint.sqlite.locks").iterdir()) == []
