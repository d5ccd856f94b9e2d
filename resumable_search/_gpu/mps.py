"""NVIDIA MPS: kernels of several workers on a GPU at the same time.

Without it the driver gives the GPU to one process after the other, so a network too
small for the GPU leaves it as idle as if it were alone. With MPS (Multi-Process
Service) the processes are clients of a server that merges their work. A search has
a private daemon for each GPU and for as long as it lasts, so no administrator is
needed and nobody else's programs are concerned::

    nvidia-cuda-mps-control -d          one for each GPU of a search
      nvidia-cuda-mps-server            started by it for the first client
        workers                         find it by CUDA_MPS_PIPE_DIRECTORY

What its manual (https://docs.nvidia.com/deploy/mps/) says and a caller must know:

- Linux, and GPUs of compute capability 7.0 (Volta) or more: older ones share one
  address space, and know neither of the limits that are set here.
- A worker that cannot reach the daemon runs on without it, and does not say so: ask
  `MpsDaemon.serves`.
- A fatal fault of one client (an illegal address, a failed launch) is reported to all
  clients of that GPU, without saying whose it was. Until all of them have ended, the
  server refuses new ones. So after a fault for which `is_shared_fault` holds, all
  workers of that GPU are replaced, and only then new ones can start.
- A client that is killed while its kernels run can hang the others, unless the server
  has ended its work before: `MpsDaemon.terminate_client`.

A daemon that survives its owner's death is quit by the next search of the same user:
the lock on its directory ends with the owner.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import weakref
from pathlib import Path

from filelock import FileLock, Timeout

from .._exceptions import MpsError

__all__ = [
    "MAX_CLIENTS",
    "MpsDaemon",
    "control_program",
    "is_shared_fault",
    "remove_abandoned",
]

#: Clients that a GPU takes at a time, from Volta on; CUDA 13.1 raised it to 60.
MAX_CLIENTS = 48

_PROGRAM = "nvidia-cuda-mps-control"

# Linux cuts the name of a process after 15 characters: the daemon and its servers.
_PROCESS_NAME = _PROGRAM[:15]

# Not a prefix that another module would take for its own and clean up.
_PREFIX = "resumable_mps-"
_LOCK_NAME = "owner.lock"

# The address of a UNIX socket has 108 bytes, with the names that the daemon and we
# add to the directory.
_LONGEST_PARENT = 40

_START_SECONDS = 10.0
_CLOSE_SECONDS = 10.0
_ANSWER_SECONDS = 5.0
_ORPHAN_SECONDS = 1.0
_LOOK_SECONDS = 0.05
_LOG_CHARACTERS = 2000


def control_program() -> str | None:
    """Return the path of NVIDIA's control program, or None where there is none."""
    return shutil.which(_PROGRAM)


class MpsDaemon:
    """An MPS daemon for one GPU, private to this process.

    Parameters
    ----------
    uuid : str
        The GPU, or the MIG instance of one.

    Raises
    ------
    MpsError
        If it does not answer within 10 seconds.
    """

    def __init__(self, uuid: str) -> None:
        program = control_program()
        if program is None:
            raise MpsError(
                f"There is no program {_PROGRAM} on the PATH. It comes with NVIDIA's "
                "driver for Linux (in containers, only if the image or the runtime "
                "provides it). Install it, or give mps='off'."
            )
        self.uuid = uuid
        parent = _parent_directory()
        remove_abandoned(parent)
        self._directory = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        lock = FileLock(self._directory / _LOCK_NAME)
        lock.acquire(blocking=False)
        self._finalizer = weakref.finalize(
            self, _close, self._directory, lock, os.getpid()
        )
        try:
            self._start(program)
        except BaseException:
            self.close()
            raise

    def _start(self, program: str) -> None:
        for name in ("pipe", "log"):
            (self._directory / name).mkdir(mode=0o700)
        environment = _environment(self._directory)
        environment["CUDA_VISIBLE_DEVICES"] = self.uuid
        deadline = time.monotonic() + _START_SECONDS
        output = self._directory / "log" / "start.log"
        try:
            # To a file: the daemon keeps what it was given, and a pipe would not end.
            with output.open("wb") as file:
                subprocess.run(  # noqa: S603 - NVIDIA's program
                    [program, "-d"],
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    cwd="/",
                    timeout=_START_SECONDS,
                    start_new_session=True,  # Ctrl-C is for the search
                    check=True,
                )
            while self._ask("get_server_list") is None:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"no answer within {_START_SECONDS:.0f} s")
                time.sleep(_LOOK_SECONDS)
        except (OSError, subprocess.SubprocessError) as exc:
            said = _tail(output) + _tail(output.with_name("control.log"))
            raise MpsError(
                f"The MPS daemon for the GPU {self.uuid} did not start: {exc}. The "
                f"program {program} wrote: {said.strip() or 'nothing'}. Likely causes: "
                "the GPU is older than Volta, is in the compute mode 'Prohibited', or "
                "is in the mode 'Exclusive process' and in use (nvidia-smi tells); or "
                "the container does not allow it. Give mps='off' to share the GPU by "
                "time slices."
            ) from exc

    def client_environment(self, n_slots: int, memory_bytes: int) -> dict[str, str]:
        """Return the variables that make a worker a client, before it starts.

        Parameters
        ----------
        n_slots : int
            Workers on this GPU, `MAX_CLIENTS` at most.
        memory_bytes : int
            Memory that one of them may take in all, in bytes: what it allocates, and
            also its context and the code of its kernels.

        Returns
        -------
        variables : dict of str to str
            To be added to the worker's environment.
        """
        return {
            **_directories(self._directory),
            # By UUID: a number would be that among the daemon's GPUs, which is 0.
            "CUDA_VISIBLE_DEVICES": self.uuid,
            # The share of the multiprocessors that a worker may use, in percent. Two
            # times an equal share, as the manual recommends for clients that do not
            # keep theirs busy all the time (100% / 0.5 n): an equal share would leave
            # that of a worker idle while it reads data or scores, and all for
            # everybody costs memory, as a context has room for what it may use.
            "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": str(min(100, -(-200 // n_slots))),
            # The driver's own limit, for what a framework's limit does not count.
            "CUDA_MPS_PINNED_DEVICE_MEM_LIMIT": f"0={max(1, memory_bytes >> 20)}M",
        }

    def is_running(self) -> bool:
        """Return whether the daemon's process is there."""
        try:
            pid = int((self._directory / "pipe" / f"{_PROGRAM}.pid").read_text())
        except (OSError, ValueError):
            return False
        return _is_of(pid, self._directory)

    def serves(self, pid: int) -> bool:
        """Return whether a worker is a client: not before it has begun to use CUDA."""
        return self._server_of(pid) is not None

    def terminate_client(self, pid: int) -> bool:
        """End a worker's work on the GPU, so that it can be killed without harm.

        The worker itself lives on, and gets an error from CUDA.

        Parameters
        ----------
        pid : int
            Process id of the worker.

        Returns
        -------
        done : bool
            False if it is no client, or the daemon could not.
        """
        server = self._server_of(pid)
        if server is None:
            return False
        return self._ask(f"terminate_client {server} {pid}") == "0"

    def close(self) -> None:
        """Quit the daemon, kill it after 10 seconds, and remove its files."""
        self._finalizer()

    def _server_of(self, pid: int) -> int | None:
        for server in _numbers(self._ask("get_server_list")):
            if pid in _numbers(self._ask(f"get_client_list {server}")):
                return server
        return None

    def _ask(self, command: str) -> str | None:
        return _ask(self._directory, command, _ANSWER_SECONDS)


def remove_abandoned(parent: Path | None = None) -> None:
    """Quit the daemons of this user whose owners are gone.

    Parameters
    ----------
    parent : pathlib.Path, default=None
        Where their directories are. None: where new ones are made.
    """
    for directory in (parent or _parent_directory()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError, Timeout):
            if directory.lstat().st_uid != os.getuid():
                continue
            lock_file = directory / _LOCK_NAME
            if not lock_file.exists():  # being made, or being removed
                continue
            with FileLock(lock_file, blocking=False):
                _quit(directory)
                shutil.rmtree(directory, ignore_errors=True)


# What CUDA, and frameworks that quote it, say when the server or the connection to it
# is gone.
_SERVICE_FAULTS = (
    r"CUDA_?ERROR_?MPS_?\w+",
    r"\bMPS (client|server|control daemon)\b",
)

# Fatal faults: after them a context is of no use, and MPS gives them to all clients.
_DEVICE_FAULTS = (
    r"CUDA_ERROR_(ASSERT|CONTEXT_IS_DESTROYED|ECC_UNCORRECTABLE|HARDWARE_STACK_ERROR"
    r"|ILLEGAL_ADDRESS|ILLEGAL_INSTRUCTION|INVALID_ADDRESS_SPACE|INVALID_PC"
    r"|LAUNCH_FAILED|LAUNCH_TIMEOUT|MISALIGNED_ADDRESS)\b",
    r"cudaError(Assert|ContextIsDestroyed|ECCUncorrectable|HardwareStackError"
    r"|IllegalAddress|IllegalInstruction|InvalidAddressSpace|InvalidPc"
    r"|LaunchFailure|LaunchTimeout|MisalignedAddress)\b",
    r"unspecified launch failure",
    r"an illegal memory access was encountered",
    r"an illegal instruction was encountered",
    r"device-side assert triggered",
    r"hardware stack error",
    r"the launch timed out and was terminated",
    r"uncorrectable ECC error encountered",
)

_SHARED_FAULT = re.compile("|".join(_SERVICE_FAULTS + _DEVICE_FAULTS), re.IGNORECASE)


def is_shared_fault(text: str) -> bool:
    """Return whether a worker's error may come from the daemon or another worker.

    Under MPS the same text is what the culprit itself sees, and nothing tells them
    apart. So a fold that failed with it deserves another try, and not any number of
    them. Running out of memory is not such a fault: that is a worker's own.

    Parameters
    ----------
    text : str
        The text of the exception, or its traceback.

    Returns
    -------
    is_shared : bool
        True for an error of MPS itself and for a fatal fault of the GPU.
    """
    return _SHARED_FAULT.search(text) is not None


# ---------------------------------------------------------------------------


def _parent_directory() -> Path:
    """Return a place for the directory whose path is short enough for sockets."""
    place = tempfile.gettempdir()
    if len(os.fsencode(place)) > _LONGEST_PARENT:
        place = "/tmp"  # noqa: S108 - mkdtemp makes a private directory
    return Path(place)


def _directories(directory: Path) -> dict[str, str]:
    return {
        "CUDA_MPS_PIPE_DIRECTORY": str(directory / "pipe"),
        "CUDA_MPS_LOG_DIRECTORY": str(directory / "log"),
    }


def _environment(directory: Path) -> dict[str, str]:
    """Return this process's environment, but for a daemon that the user may have."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("CUDA_MPS_")}
    return {**inherited, **_directories(directory)}


def _ask(directory: Path, command: str, timeout: float) -> str | None:
    """Return the daemon's answer, or None if there is none within `timeout` seconds."""
    program = control_program()
    if program is None:
        return None
    try:
        answer = subprocess.run(  # noqa: S603 - NVIDIA's program
            [program],
            input=f"{command}\n",
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(directory),
            cwd="/",
            timeout=timeout,
            text=True,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()


def _numbers(answer: str | None) -> list[int]:
    return [int(word) for word in (answer or "").split() if word.isdecimal()]


def _is_of(pid: int, directory: Path) -> bool:
    """Return whether a process is the daemon of `directory` or a server of it.

    By its name and by its environment: process ids are used again, and the workers
    have the same environment.
    """
    process = Path("/proc", str(pid))
    variable = f"CUDA_MPS_PIPE_DIRECTORY={directory / 'pipe'}"
    try:
        return (process / "comm").read_text().strip() == _PROCESS_NAME and (
            os.fsencode(variable) in (process / "environ").read_bytes().split(b"\0")
        )
    except OSError:  # gone, or another user's
        return False


def _processes(directory: Path) -> list[int]:
    pids = (int(path.name) for path in Path("/proc").glob("[0-9]*"))
    return [pid for pid in pids if _is_of(pid, directory)]


def _quit(directory: Path) -> None:
    """End a daemon and its servers: first by asking, in the end by force."""
    if not _processes(directory):
        return
    deadline = time.monotonic() + _CLOSE_SECONDS
    # With a limit: it would wait for clients that do not end.
    command = f"quit -t {_CLOSE_SECONDS / 2:.0f}"
    if _ask(directory, command, _CLOSE_SECONDS) is None:
        deadline = time.monotonic() + _ORPHAN_SECONDS  # servers without a daemon
    while (left := _processes(directory)) and time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)
    for pid in left:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def _close(directory: Path, lock: FileLock, owner: int) -> None:
    # In a forked child this object is a copy: the daemon is the parent's.
    if os.getpid() != owner or not lock.is_locked:
        return
    _quit(directory)
    shutil.rmtree(directory, ignore_errors=True)
    lock.release()


def _tail(path: Path) -> str:
    try:
        return path.read_text(errors="replace")[-_LOG_CHARACTERS:]
    except OSError:
        return ""
