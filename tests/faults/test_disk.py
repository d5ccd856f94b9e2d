"""A search whose disk fails, or whose files somebody removes.

Each fault comes after a number of saved folds. When it is over, the same search
must end as if nothing had happened, with no saved fold run again.
"""

import os
import shutil
import subprocess
import textwrap

import pytest

from tests.faults import checks, power_loss

# Calls `fault` with the checkpoint's path after so many folds.
FAULT = """
    import os, resource, shutil
    from pathlib import Path
    from resumable_search._checkpoint.store import CheckpointStore

    n_saved = 0
    save_now = CheckpointStore.save

    def save_then_fault(store, records, **options):
        global n_saved
        save_now(store, records, **options)
        before, n_saved = n_saved, n_saved + len(records)
        if before < n_before <= n_saved:
            fault(store.path)

    CheckpointStore.save = save_then_fault

    def fault(path):
"""


def run(directory, fault, n_before=2, **options):
    """Run the search with a fault; give its exit code, output and errors."""
    code = textwrap.dedent(FAULT) + textwrap.indent(textwrap.dedent(fault), " " * 4)
    process = checks.start(
        directory,
        f"n_before = {n_before}\n{code}",
        # Its warnings are to be seen, and not to be raised.
        **{"PYTHONWARNINGS": "default", **options},
    )
    out, errors = process.communicate(timeout=120)
    return process.returncode, out.count("saved"), errors


# ---------------------------------------------------------------------------
# Somebody removes files

REMOVALS = {
    "file": "path.unlink()",
    "all files": """
        for file in path.parent.glob("checkpoint.sqlite*"):
            file.unlink()
    """,
    "directory": "shutil.rmtree(path.parent)",
    "log": "path.with_name('checkpoint.sqlite-wal').unlink()",
}


def check_removal(directory, what, n_before):
    code, n_saved, errors = run(directory, REMOVALS[what], n_before)
    assert code == 0, errors
    assert "CheckpointRestoredWarning" in errors
    assert checks.run_to_the_end(directory, n_saved) == checks.N_FOLDS


@pytest.mark.faults
def test_a_deleted_directory_is_there_again(tmp_path):
    """With all folds, those too that were saved before it was deleted."""
    check_removal(tmp_path / "search", "directory", 2)


@pytest.mark.faults
@pytest.mark.parametrize("n_before", [1, 3, checks.N_FOLDS])
@pytest.mark.parametrize("what", REMOVALS)
def test_what_was_deleted_is_there_again(tmp_path, what, n_before):
    """Whatever it was, and whenever."""
    check_removal(tmp_path / "search", what, n_before)


@pytest.mark.faults
def test_a_file_in_its_place_is_not_touched(tmp_path):
    """The error names the file in which the folds are; the search goes on with it."""
    directory = tmp_path / "search"
    other = (
        "(path.parent / 'new').write_text('mine'); (path.parent / 'new').rename(path)"
    )
    code, n_saved, errors = run(directory, other)
    path = directory / checks.CHECKPOINT
    assert code == 1
    assert path.read_text() == "mine"
    rescued = path.with_name("checkpoint-rescued-1.sqlite")
    assert (
        f"CheckpointWriteError: Another file has taken the place of the {path}".replace(
            "the /", "the checkpoint /"
        )
        in errors
    )
    assert str(rescued) in errors
    assert checks.run_to_the_end(directory, n_saved, CHECKPOINT=str(rescued)) >= 2


# ---------------------------------------------------------------------------
# The disk does not take any more


@pytest.mark.faults
def test_a_limit_of_file_size_loses_no_saved_fold(tmp_path):
    """As shells and batch systems set it."""
    limit = """
        limit = path.with_name("checkpoint.sqlite-wal").stat().st_size + 1000
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    """
    code, n_saved, errors = run(tmp_path / "search", limit)
    assert code == 1
    assert "CheckpointWriteError: The checkpoint" in errors
    assert 2 <= checks.run_to_the_end(tmp_path / "search", n_saved) < checks.N_FOLDS


@pytest.fixture
def small_disk(tmp_path):
    """Give a file system of 400 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(place)]
    if shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("only root can make a small disk")
    made = subprocess.run(command, capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"no small disk can be made here: {made.stderr}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.fixture
def disk_image(tmp_path):
    """Give a mounted file system that the kernel makes read-only on an error."""
    image, place = tmp_path / "image", tmp_path / "disk"
    place.mkdir()
    if shutil.which("mkfs.ext4") is None or os.geteuid() != 0:
        pytest.skip("only root can mount an image, and mkfs.ext4 has to be there")
    with image.open("wb") as file:
        file.truncate(20 * 2**20)
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
    options = ["-o", "loop,errors=remount-ro"]
    made = subprocess.run(
        ["mount", *options, image, place], capture_output=True, text=True
    )
    if made.returncode:
        pytest.skip(f"no image can be mounted here: {made.stderr}")
    yield image, place
    subprocess.run(["umount", place], check=True)


# The kernel remounts a file system as it does when its device fails.
REMOUNT = """
    number = os.stat(path).st_dev
    block = f"/sys/dev/block/{os.major(number)}:{os.minor(number)}"
    device = Path(os.path.realpath(block)).name
    assert device.startswith("loop")
    Path(f"/sys/fs/ext4/{device}/trigger_fs_error").write_text("a test")
"""


@pytest.mark.faults
def test_a_file_system_that_is_remounted_read_only_loses_no_saved_fold(
    tmp_path, disk_image
):
    """Files that are open are read-only then too; mended, the search goes on."""
    image, place = disk_image
    checkpoint = str(place / "checkpoint.sqlite")
    directory = tmp_path / "search"
    code, n_saved, errors = run(directory, REMOUNT, CHECKPOINT=checkpoint)
    assert code == 1
    assert "CheckpointWriteError: The checkpoint" in errors
    subprocess.run(["umount", place], check=True)
    mended = subprocess.run(["e2fsck", "-fp", image], capture_output=True)
    assert mended.returncode in (0, 1)  # 1: there was something to mend
    subprocess.run(["mount", "-o", "loop,errors=remount-ro", image, place], check=True)
    n_kept = checks.run_to_the_end(directory, n_saved, CHECKPOINT=checkpoint)
    assert 2 <= n_kept < checks.N_FOLDS


@pytest.mark.faults
def test_a_full_disk_loses_no_saved_fold(tmp_path, small_disk):
    """The error says that it is full; with space again, the search goes on."""
    fill = """
        with path.with_name("ballast").open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(512))
            except OSError:
                pass
    """
    directory, path = tmp_path / "search", small_disk / "checkpoint.sqlite"
    code, n_saved, errors = run(directory, fill, CHECKPOINT=path)
    assert code == 1
    assert (
        "is full (0 bytes free). All folds that were stored before are safe" in errors
    )
    (small_disk / "ballast").unlink()
    n_kept = checks.run_to_the_end(directory, n_saved, CHECKPOINT=str(path))
    assert 2 <= n_kept < checks.N_FOLDS


@pytest.mark.faults
def test_a_disk_that_is_full_from_the_start_is_an_error_at_once(tmp_path, small_disk):
    """Before a fold is run, and an empty file is no obstacle later."""
    directory, path = tmp_path / "search", small_disk / "checkpoint.sqlite"
    (small_disk / "ballast").write_bytes(bytes(400 * 1024))
    code, n_saved, errors = run(directory, "pass", CHECKPOINT=path)
    assert (code, n_saved) == (1, 0)
    assert "CheckpointWriteError: The" in errors
    assert not (directory / "fits.log").exists()
    (small_disk / "ballast").unlink()
    assert checks.run_to_the_end(directory, 0, CHECKPOINT=str(path)) == 0


INJECTED = [
    ("pwrite64", "EROFS", "-wal"),  # as a disk with errors that is mounted read-only
    ("pwrite64", "EIO", "-wal"),
    ("pwrite64", "EDQUOT", "-wal"),
    ("fdatasync", "EIO", "-wal"),
    ("pwrite64", "EIO", ""),
    ("fdatasync", "EIO", ""),
]


@pytest.mark.faults
@pytest.mark.skipif(power_loss.why_not() is not None, reason=str(power_loss.why_not()))
@pytest.mark.parametrize(("call", "error", "ending"), INJECTED)
@pytest.mark.parametrize("when", [1, 20, 40])
def test_a_failing_disk_loses_no_saved_fold(tmp_path, call, error, ending, when):
    """From some call on, all of them fail, for good."""
    directory = tmp_path / "search"
    path = directory / f"{checks.CHECKPOINT}{ending}"
    process = checks.start(
        directory,
        under=[
            *("strace", "-f", "--seccomp-bpf", "-o", os.devnull, "-P", str(path)),
            *("-e", f"trace={call}", "-e", f"inject={call}:error={error}:when={when}+"),
        ],
    )
    out, errors = process.communicate(timeout=120)
    if process.returncode:
        assert "CheckpointWriteError: The checkpoint" in errors
    checks.run_to_the_end(directory, out.count("saved"))


# ---------------------------------------------------------------------------
# Permissions


@pytest.mark.faults
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_permission_that_is_lost_is_an_error_before_a_fold_runs(tmp_path):
    """It says which one; with the permission again, the search goes on."""
    directory = tmp_path / "search"
    code, n_saved, errors = run(
        directory,
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))",
    )
    assert code == 1
    n_begun = len((directory / "fits.log").read_text().splitlines())
    as_nobody = """
        import os
        from resumable_search._checkpoint.store import CheckpointStore

        init = CheckpointStore.__init__

        def init_as_nobody(store, path):
            os.setresuid(65534, 65534, 0)
            try:
                init(store, path)
            finally:
                os.setresuid(0, 0, 0)

        CheckpointStore.__init__ = init_as_nobody
    """
    process = checks.start(directory, as_nobody)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "no permission for" in errors
    assert "No fold has been run" in errors
    assert len((directory / "fits.log").read_text().splitlines()) == n_begun
    checks.run_to_the_end(directory, n_saved)


@pytest.mark.faults
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_permission_that_is_lost_while_it_runs_is_no_obstacle(tmp_path):
    """The files are open."""
    lose = """
        path.parent.chmod(0o700)
        os.setresuid(65534, 65534, 0)
        import atexit
    """
    regain = """
        import os
        from resumable_search._checkpoint.store import CheckpointStore

        close = CheckpointStore.close

        def close_and_regain(store):
            close(store)
            os.setresuid(0, 0, 0)

        CheckpointStore.close = close_and_regain
    """
    code = textwrap.dedent(FAULT) + textwrap.indent(textwrap.dedent(lose), " " * 4)
    process = checks.start(
        tmp_path / "search", f"n_before = 2\n{code}\n{textwrap.dedent(regain)}"
    )
    out, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    n_kept = checks.run_to_the_end(tmp_path / "search", out.count("saved"))
    assert n_kept == checks.N_FOLDS
