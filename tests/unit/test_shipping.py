"""Data for the workers: written once, mapped by all, gone with its owner."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from resumable_search._engine.shipping import Workspace, dump, load, remove_abandoned
from tests.helpers import interpreters


@pytest.mark.parametrize(
    "value",
    [
        np.arange(100_000, dtype=np.float32).reshape(1000, 100),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(10)[::2],
        np.array(["a", "b"], dtype=object),
        np.empty((0, 3)),
        [[1, 2], [3, 4]],
        "text",
        None,
    ],
)
def test_a_value_comes_back_equal(tmp_path, value):
    """Arrays of all layouts and plain values survive the trip."""
    dump(value, tmp_path / "value")
    loaded = load(str(tmp_path / "value"))
    np.testing.assert_array_equal(loaded, value)
    assert getattr(loaded, "dtype", None) == getattr(value, "dtype", None)


def test_frames_and_sparse_matrices_come_back_equal(tmp_path):
    """So do the containers that hold arrays."""
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"], "c": [True, False]})
    matrix = scipy.sparse.random(50, 20, 0.2, format="csr", random_state=0)
    dump((frame, matrix), tmp_path / "value")
    loaded_frame, loaded_matrix = load(str(tmp_path / "value"))
    pd.testing.assert_frame_equal(loaded_frame, frame)
    assert (loaded_matrix != matrix).nnz == 0


def test_a_loaded_array_is_a_view_of_the_file(tmp_path):
    """The array is mapped and not read, so workers share one copy of it."""
    dump(np.zeros(1_000_000), tmp_path / "value")
    array = load(str(tmp_path / "value"))
    assert not array.flags.owndata
    assert array.ctypes.data % 64 == 0


def test_an_estimator_may_change_its_data_in_place(tmp_path):
    """It sees its change, and nobody else does."""
    dump(np.zeros(1000), tmp_path / "value")
    array = load(str(tmp_path / "value"))
    array[0] = 1
    assert load(str(tmp_path / "value"))[0] == 0


def test_a_workspace_is_private_and_goes_when_closed():
    """Its directory is the owner's alone."""
    workspace = Workspace()
    path = workspace.path
    assert load(workspace.put([1])) == [1]
    assert path.stat().st_mode & 0o077 == 0
    workspace.close()
    assert not path.exists()


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path, monkeypatch):
    """The directory of a living process stays."""
    monkeypatch.setenv("JOBLIB_TEMP_FOLDER", str(tmp_path))
    code = (
        "import sys; from resumable_search._engine.shipping import Workspace; "
        "w = Workspace(); print(w.path, flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    name = process.stdout.readline().strip()
    remove_abandoned(tmp_path)
    assert Path(name).is_dir()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    remove_abandoned(tmp_path)
    assert not Path(name).is_dir()


def test_a_full_disk_says_where_and_what_to_do(tmp_path, monkeypatch):
    """The error names the variable that chooses another place."""
    workspace = Workspace()

    def full(value, path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("resumable_search._engine.shipping.dump", full)
    with pytest.raises(OSError, match=r"JOBLIB_TEMP_FOLDER"):
        workspace.put([1])
    workspace.close()


def test_a_directory_without_a_lock_is_removed_if_it_is_empty(tmp_path):
    """Its process was killed before it could lock it; no file is in it yet."""
    (tmp_path / "resumable_search-a").mkdir()
    (tmp_path / "resumable_search-b").mkdir()
    (tmp_path / "resumable_search-b" / "file").touch()
    remove_abandoned(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["resumable_search-b"]


def test_a_link_to_a_directory_is_left_alone(tmp_path):
    """Others may make links in a directory that all share."""
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "owner.lock").touch()
    (tmp_path / "resumable_search-link").symlink_to(mine)
    remove_abandoned(tmp_path)
    assert (mine / "owner.lock").exists()


WORKSPACES = """
    import sys
    from resumable_search._engine.shipping import Workspace, load
    for _ in range(int(sys.argv[1])):
        workspace = Workspace()
        assert load(workspace.put([1])) == [1]
        workspace.close()
"""


def test_processes_that_begin_at_once_do_not_take_each_others_directory(tmp_path):
    """In the moment between making it and locking it, it looks abandoned."""
    processes = [
        interpreters.start(
            ["-c", textwrap.dedent(WORKSPACES), "30"],
            env={
                **os.environ,
                "JOBLIB_TEMP_FOLDER": str(tmp_path),
                "PYTHONPATH": str(Path(__file__).parents[2]),
            },
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in processes:
        _, errors = process.communicate()
        assert process.returncode == 0, errors
    assert not list(tmp_path.glob("resumable_search-*"))


def test_a_relative_place_is_where_it_was_when_it_was_named(tmp_path, monkeypatch):
    """Workers may be in another directory by then; it need not be there yet."""
    monkeypatch.setenv("JOBLIB_TEMP_FOLDER", "sub/folder")
    workspace = Workspace()
    path = workspace.put([1, 2])
    monkeypatch.chdir("/")
    assert Path(path).is_relative_to(tmp_path / "sub" / "folder")
    assert load(path) == [1, 2]
    workspace.close()
