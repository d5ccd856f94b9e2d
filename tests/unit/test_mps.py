"""The MPS daemon: a contract that NVIDIA's program and a fake of it must pass.

The fake speaks the same protocol (``-d`` leaves a background process behind, commands
come on standard input) and is what the crash tests break on purpose.
"""

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from resumable_search import MpsError
from resumable_search._gpu import mps as _mps
from resumable_search._gpu.mps import (
    MpsDaemon,
    control_program,
    is_shared_fault,
    remove_abandoned,
)
from tests.fake_mps import CUDA_CLIENT, FAKE_UUID, Setting, mps_processes


@pytest.fixture
def real(place):
    """Give NVIDIA's own program and the first GPU."""
    if control_program() is None:
        pytest.skip("nvidia-cuda-mps-control is not on the PATH")
    command = ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"]
    if shutil.which("nvidia-smi") is None:
        pytest.skip("nvidia-smi is not on the PATH: no NVIDIA driver")
    listed = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if listed.returncode:
        pytest.skip(f"no NVIDIA GPU: {listed.stdout.strip()}")
    setting = Setting(listed.stdout.split("\n")[0].strip(), CUDA_CLIENT)
    yield setting
    setting.close()


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.gpu)])
def setting(request):
    """Give the fake and, where there is one, the real program."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def daemon(setting):
    """Give a running daemon."""
    daemon = MpsDaemon(setting.uuid)
    yield daemon
    daemon.close()


def directory_of(daemon):
    variables = daemon.client_environment(1, 2**30)
    return Path(variables["CUDA_MPS_PIPE_DIRECTORY"]).parent


def wait_until(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


# ---------------------------------------------------------------------------
# The contract


def test_a_daemon_runs_until_it_is_closed(setting, place):
    """After close, which may be called twice, no process and no file is left."""
    daemon = MpsDaemon(setting.uuid)
    directory = directory_of(daemon)
    assert daemon.is_running()
    daemon.close()
    assert not daemon.is_running()
    assert not directory.exists()
    assert not mps_processes(place)
    daemon.close()


def test_its_directory_is_the_owners_alone(daemon):
    """Nobody else can become a client or read the log."""
    directory = directory_of(daemon)
    for path in (directory, directory / "pipe", directory / "log"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_two_daemons_do_not_meet(setting, daemon):
    """Two searches, or two GPUs, have a daemon each."""
    other = MpsDaemon(setting.uuid)
    assert directory_of(other) != directory_of(daemon)
    other.close()
    assert daemon.is_running()


def test_a_worker_is_served_once_it_uses_the_gpu(setting, daemon):
    """Another process is not, nor is the worker after its end."""
    assert not daemon.serves(os.getpid())
    client = setting.start_client(daemon)
    assert daemon.serves(client.pid)
    assert not daemon.serves(os.getpid())
    client.communicate()
    wait_until(lambda: not daemon.serves(client.pid))


def test_a_clients_work_can_be_ended_before_it_is_killed(setting, daemon):
    """Only that of a client."""
    client = setting.start_client(daemon)
    assert daemon.terminate_client(client.pid)
    assert not daemon.terminate_client(os.getpid())


def test_a_daemon_with_clients_can_be_closed(setting, place):
    """It does not wait for them longer than it says."""
    daemon = MpsDaemon(setting.uuid)
    setting.start_client(daemon)
    begin = time.monotonic()
    daemon.close()
    assert time.monotonic() - begin < 15
    assert not mps_processes(place)


def test_a_daemon_of_a_killed_process_is_quit_by_the_next(setting, place):
    """The daemons of living processes stay."""
    code = (
        "import sys; from resumable_search._gpu.mps import MpsDaemon; "
        f"daemon = MpsDaemon({setting.uuid!r}); print(flush=True); sys.stdin.read()"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={
            **os.environ,
            "TMPDIR": str(place),
            "PYTHONPATH": str(Path(__file__).parents[2]),
        },
    )
    owner.stdout.readline()
    remove_abandoned()
    (abandoned,) = mps_processes(place)
    owner.kill()
    owner.communicate()
    assert mps_processes(place) == [abandoned]
    daemon = MpsDaemon(setting.uuid)
    assert abandoned not in mps_processes(place)
    assert list(place.glob("resumable_mps-*")) == [directory_of(daemon)]
    daemon.close()


# ---------------------------------------------------------------------------
# What a worker is told


def test_a_worker_gets_the_daemon_the_gpu_and_its_shares(fake):
    """Memory is in MiB of the daemon's only device."""
    daemon = MpsDaemon(fake.uuid)
    variables = daemon.client_environment(4, 4 * 2**30 + 5)
    directory = directory_of(daemon)
    assert variables == {
        "CUDA_MPS_PIPE_DIRECTORY": str(directory / "pipe"),
        "CUDA_MPS_LOG_DIRECTORY": str(directory / "log"),
        "CUDA_VISIBLE_DEVICES": FAKE_UUID,
        "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": "50",
        "CUDA_MPS_PINNED_DEVICE_MEM_LIMIT": "0=4096M",
    }
    assert (directory / "pipe" / "devices").read_text() == FAKE_UUID
    daemon.close()


@pytest.mark.parametrize(
    ("n_slots", "percentage"), [(1, 100), (2, 100), (3, 67), (8, 25), (48, 5)]
)
def test_a_worker_may_use_twice_its_part_of_the_processors(fake, n_slots, percentage):
    """As long as that is not more than all."""
    daemon = MpsDaemon(fake.uuid)
    variables = daemon.client_environment(n_slots, 2**30)
    assert variables["CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"] == str(percentage)
    daemon.close()


def test_the_users_own_settings_do_not_reach_the_daemon(fake, monkeypatch):
    """A limit for the daemon would be one for all workers."""
    monkeypatch.setenv("CUDA_MPS_ACTIVE_THREAD_PERCENTAGE", "10")
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", "/nowhere")
    daemon = MpsDaemon(fake.uuid)
    pid = int((directory_of(daemon) / "pipe/nvidia-cuda-mps-control.pid").read_text())
    environment = Path("/proc", str(pid), "environ").read_bytes()
    assert b"ACTIVE_THREAD" not in environment
    assert b"/nowhere" not in environment
    daemon.close()


# ---------------------------------------------------------------------------
# What can go wrong


def test_without_the_program_the_error_says_how_to_go_on(monkeypatch, tmp_path):
    """There is a way without it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert control_program() is None
    with pytest.raises(MpsError, match=r"not? program .* mps='off'"):
        MpsDaemon(FAKE_UUID)


@pytest.mark.parametrize(
    ("mode", "text"),
    [
        ("refuses", "An error of the driver"),
        ("silent", r"no answer within 1 s.*Not listening"),
    ],
)
def test_a_daemon_that_does_not_start_is_explained(
    fake, place, monkeypatch, mode, text
):
    """With what it wrote and what to do; and nothing of it stays."""
    monkeypatch.setattr(_mps, "_START_SECONDS", 1.0)
    monkeypatch.setattr(_mps, "_CLOSE_SECONDS", 1.0)
    monkeypatch.setenv("FAKE_MPS", mode)
    with pytest.raises(MpsError, match=rf"(?s){text}.*mps='off'") as raised:
        MpsDaemon(FAKE_UUID)
    assert raised.value.__cause__ is not None
    assert not mps_processes(place)
    assert not list(place.glob("resumable_mps-*"))


def test_a_daemon_that_does_not_quit_is_killed(fake, place, monkeypatch):
    """With its server, and not with the workers, which have the same environment."""
    monkeypatch.setattr(_mps, "_CLOSE_SECONDS", 1.0)
    monkeypatch.setenv("FAKE_MPS", "stubborn")
    daemon = MpsDaemon(fake.uuid)
    client = fake.start_client(daemon)
    assert len(mps_processes(place)) == 2
    daemon.close()
    wait_until(lambda: not mps_processes(place))
    assert client.poll() is None
    assert not list(place.glob("resumable_mps-*"))


def test_a_daemon_that_died_runs_and_serves_no_more(fake):
    """Asking it is no error."""
    daemon = MpsDaemon(fake.uuid)
    client = fake.start_client(daemon)
    pid = int((directory_of(daemon) / "pipe/nvidia-cuda-mps-control.pid").read_text())
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not daemon.is_running())
    assert not daemon.serves(client.pid)
    assert not daemon.terminate_client(client.pid)
    daemon.close()


def test_a_process_with_the_daemons_old_number_is_left_alone(fake, place):
    """Process ids are used again: what is no daemon is not taken for one."""
    daemon = MpsDaemon(fake.uuid)
    file = directory_of(daemon) / "pipe" / "nvidia-cuda-mps-control.pid"
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=-1) as other:
        file.write_text(str(other.pid))
        assert not daemon.is_running()
        daemon.close()
        assert other.poll() is None
        other.communicate(b"\n")


def test_a_daemon_ends_with_its_process(fake, place):
    """Also where nobody closed it."""
    code = (
        "from resumable_search._gpu.mps import MpsDaemon; "
        f"daemon = MpsDaemon({FAKE_UUID!r}); assert daemon.is_running()"
    )
    environment = {
        **os.environ,
        "TMPDIR": str(place),
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert not mps_processes(place)
    assert not list(place.glob("resumable_mps-*"))


def test_a_forked_child_does_not_end_its_parents_daemon(fake):
    """The copy that it has is not its own."""
    daemon = MpsDaemon(fake.uuid)
    pid = os.fork()
    if pid == 0:
        daemon.close()
        os._exit(0)
    os.waitpid(pid, 0)
    assert daemon.is_running()
    daemon.close()


def test_directories_of_others_and_unfinished_ones_stay(place, monkeypatch):
    """One without a lock is just being made."""
    (place / "resumable_mps-new").mkdir()
    other = place / "resumable_mps-other"
    other.mkdir()
    (other / "owner.lock").touch()
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    remove_abandoned(place)
    assert other.exists()
    monkeypatch.undo()
    remove_abandoned(place)
    assert not other.exists()
    assert (place / "resumable_mps-new").exists()


def test_the_path_is_short_enough_for_a_socket(tmp_path, monkeypatch):
    """Whatever TMPDIR is: UNIX knows 108 bytes."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("long" * 20)))
    assert _mps._parent_directory() == Path("/tmp")


@pytest.mark.parametrize(
    "text",
    [
        "CUDA_ERROR_MPS_CLIENT_TERMINATED: the MPS client has been terminated by the "
        "server",
        "CUDA_ERROR_MPS_SERVER_NOT_READY",
        "cudaErrorMpsConnectionFailed",
        "Error 805: MPS client failed to connect to the MPS control daemon or the MPS "
        "server",
        "RuntimeError: CUDA error: unspecified launch failure",
        "torch.AcceleratorError: CUDA error: an illegal memory access was encountered",
        "INTERNAL: CUDA error: CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory access",
        "failed to synchronize: CUDA_ERROR_LAUNCH_FAILED: unspecified launch failure",
        "cudaErrorLaunchFailure",
    ],
)
def test_an_error_that_another_client_may_have_made_is_recognised(text):
    """CUDA's own names and texts, as the frameworks quote them."""
    assert is_shared_fault(text)


@pytest.mark.parametrize(
    "text",
    [
        "ValueError: Input contains NaN.",
        "CUDA_ERROR_OUT_OF_MEMORY: out of memory",
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB",
        "RuntimeError: MPS backend out of memory",
        "CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected",
        "CUDA_ERROR_INVALID_VALUE: invalid argument",
    ],
)
def test_an_error_of_the_workers_own_is_no_shared_fault(text):
    """Nor is running out of memory, which has its own remedy."""
    assert not is_shared_fault(text)
