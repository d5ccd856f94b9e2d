"""A stand-in for NVIDIA's MPS control program, and fixtures that put it on the PATH."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

FAKE_UUID = "GPU-01234567-89ab-cdef-0123-456789abcdef"

FAKE = (
    f"#!{sys.executable} -I\n"
    + """
import os, signal, socket, subprocess, sys, time
from pathlib import Path

MODE = os.environ.get("FAKE_MPS", "")
PIPE = Path(os.environ["CUDA_MPS_PIPE_DIRECTORY"])
LOG = Path(os.environ["CUDA_MPS_LOG_DIRECTORY"], "control.log")

def note(text):
    with LOG.open("a") as file:
        print(f"[Control {os.getpid()}] {text}", file=file)

def alive(pid):
    try:
        return "State:\\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False

def serve(listener):
    server, clients = None, []
    while True:
        connection, _ = listener.accept()
        with connection:
            words = connection.recv(1024).decode().split()
            if words[0] == "connect":  # what the CUDA driver of a client does
                if server is None:
                    server = os.fork()
                    if server == 0:
                        listener.close()
                        while True:
                            time.sleep(60)
                clients.append(int(words[1]))
                reply = "welcome"
            elif words[0] == "get_server_list":
                reply = "" if server is None else str(server)
            elif words[0] == "get_client_list":
                there = [pid for pid in clients if alive(pid)]
                reply = "\\n".join(map(str, there)) if words[1] == str(server) else ""
            elif words[0] == "terminate_client":
                note(" ".join(words))
                reply = "0"
            elif words[0] == "quit" and MODE != "stubborn":
                if server is not None:
                    os.kill(server, signal.SIGKILL)
                    os.waitpid(server, 0)
                connection.sendall(b"\\n")
                return
            else:
                reply = "?"
            connection.sendall(f"{reply}\\n".encode())

def start():
    note(f"Starting control daemon using socket {PIPE / 'control'}")
    if MODE == "refuses":
        print("An error of the driver", file=sys.stderr)
        sys.exit(1)
    if os.fork():
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    if MODE == "silent":
        note("Not listening")
        time.sleep(3600)
    Path(PIPE, "devices").write_text(os.environ["CUDA_VISIBLE_DEVICES"])
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(PIPE / "control"))
        listener.listen()
        Path(PIPE, "nvidia-cuda-mps-control.pid").write_text(str(os.getpid()))
        serve(listener)
    os._exit(0)

def command():
    for line in sys.stdin:
        with socket.socket(socket.AF_UNIX) as connection:
            try:
                connection.connect(str(PIPE / "control"))
            except OSError:
                print("Cannot find MPS control daemon process")
                sys.exit(1)
            connection.sendall(line.encode())
            print(connection.recv(4096).decode(), end="")

start() if sys.argv[1:] == ["-d"] else command()
"""
)

# A process that is a client: the real one makes a CUDA context, and both wait.
FAKE_CLIENT = """
import os, socket, sys
connection = socket.socket(socket.AF_UNIX)
connection.connect(os.environ["CUDA_MPS_PIPE_DIRECTORY"] + "/control")
connection.sendall(f"connect {os.getpid()}".encode())
connection.recv(100)
connection.close()
print("connected", flush=True)
sys.stdin.read()
"""

CUDA_CLIENT = """
import ctypes, sys
cuda = ctypes.CDLL("libcuda.so.1")
device, context = ctypes.c_int(), ctypes.c_void_p()
assert cuda.cuInit(0) == 0
assert cuda.cuDeviceGet(ctypes.byref(device), 0) == 0
assert cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), device) == 0
print("connected", flush=True)
sys.stdin.read()
"""


class Setting:
    """A control program, a GPU and a way to become a client."""

    def __init__(self, uuid, client):
        self.uuid = uuid
        self._client = client
        self._started = []

    def start_client(self, daemon, n_slots=2):
        process = subprocess.Popen(
            [sys.executable, "-I", "-c", self._client],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **daemon.client_environment(n_slots, 2**31)},
        )
        self._started.append(process)
        assert process.stdout.readline() == "connected\n"
        return process

    def close(self):
        for process in self._started:
            process.kill()
            process.communicate()


@pytest.fixture
def place(monkeypatch):
    """Give a directory of the test's own that is short enough for sockets."""
    directory = Path(tempfile.mkdtemp(prefix="t-", dir="/tmp"))
    monkeypatch.setattr(tempfile, "tempdir", str(directory))
    yield directory
    for pid in mps_processes(directory):
        os.kill(pid, signal.SIGKILL)
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def fake(place, monkeypatch):
    """Put the fake control program on the PATH."""
    program = place / "bin" / "nvidia-cuda-mps-control"
    program.parent.mkdir()
    program.write_text(FAKE)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    setting = Setting(FAKE_UUID, FAKE_CLIENT)
    yield setting
    setting.close()


def mps_processes(place):
    """List the daemons and servers whose files are in `place`."""
    wanted = f"CUDA_MPS_PIPE_DIRECTORY={place}/".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "comm").read_text().startswith("nvidia-cuda-mps") and (
                wanted in (process / "environ").read_bytes()
            ):
                found.append(int(process.name))
        except OSError:
            continue
    return found
