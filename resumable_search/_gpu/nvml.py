"""NVIDIA's devices through NVML, the library under ``nvidia-smi``.

NVML works without a CUDA context and sees what the driver, the container and the
control group of a batch system let this process see.
"""

import contextlib
import functools
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pynvml

from .._exceptions import DeviceError
from .devices import Device, Memory

__all__ = ["Nvml"]

#: What frameworks take beside a bare context, for the code of their kernels, the
#: handles and the workspaces of cuBLAS and cuDNN (bytes). An estimate.
_LIBRARY_BYTES = 200 * 2**20

#: What a bare context takes where it cannot be measured (bytes).
_USUAL_CONTEXT_BYTES = 500 * 2**20

# Makes a context and waits, in a process of its own. Takes the driver's library
# alone, which is there wherever a GPU can be used.
_PROBE = """
import ctypes, sys
cuda = ctypes.CDLL("libcuda.so.1")
device, context = ctypes.c_int(), ctypes.c_void_p()
assert cuda.cuInit(0) == 0
assert cuda.cuDeviceGet(ctypes.byref(device), 0) == 0
print("ready", flush=True)
sys.stdin.readline()
assert cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), device) == 0
print("made", flush=True)
sys.stdin.readline()
"""


@contextlib.contextmanager
def _library() -> Iterator[None]:
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as exc:
        raise DeviceError(
            f"No NVIDIA GPU can be used: {exc}. The driver may not be installed, or "
            "the container may have been started without its GPUs."
        ) from exc
    try:
        yield
    except pynvml.NVMLError as exc:
        raise DeviceError(
            f"The NVIDIA driver does not tell what is needed to share a GPU: {exc}."
        ) from exc
    finally:
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


class Nvml:
    """The device layer of a machine with an NVIDIA driver."""

    def gpus(self) -> list[list[Device]]:
        """List the GPUs and their MIG instances."""
        with _library():
            found = []
            for index in range(pynvml.nvmlDeviceGetCount()):
                # A control group may allow some of the machine's GPUs only, and
                # CUDA counts those.
                with contextlib.suppress(pynvml.NVMLError):
                    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
                    found.append(_parts(handle))
            return found

    def memory(self, device: Device) -> Memory:
        """Tell how much memory a device has, and how much of it is free now."""
        return _memory(device.uuid)

    def context_bytes(self, device: Device) -> int:
        """Measure what a context takes, and add what the libraries will."""
        return _measured_context(device.uuid) + _LIBRARY_BYTES


def _memory(uuid: str) -> Memory:
    with _library():
        memory = pynvml.nvmlDeviceGetMemoryInfo(pynvml.nvmlDeviceGetHandleByUUID(uuid))
        return Memory(total=int(memory.total), free=int(memory.free))


@functools.lru_cache(maxsize=64)
def _measured_context(uuid: str) -> int:
    """Have a process make a context, and look at what is free before and after."""
    free = []
    with (
        contextlib.suppress(OSError),
        subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, "-I", "-c", _PROBE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "CUDA_VISIBLE_DEVICES": uuid},
            text=True,
        ) as probe,
    ):
        assert probe.stdin is not None
        assert probe.stdout is not None
        for expected in ("ready\n", "made\n"):
            if probe.stdout.readline() != expected:
                break
            free.append(_memory(uuid).free)
            probe.stdin.write("\n")
            probe.stdin.flush()
        probe.kill()
    taken = free[0] - free[1] if len(free) == 2 else 0
    # Something else may have come or gone on the GPU between the two looks.
    return taken if 0 < taken < 4 * _USUAL_CONTEXT_BYTES else _USUAL_CONTEXT_BYTES


def _parts(handle: Any) -> list[Device]:
    uuid = _text(pynvml.nvmlDeviceGetUUID(handle))
    name = _text(pynvml.nvmlDeviceGetName(handle))
    instances = list(_instances(handle, uuid))
    return instances or [Device(uuid=uuid, name=name, gpu=uuid)]


def _instances(handle: Any, gpu: str) -> Iterator[Device]:
    try:
        current, _ = pynvml.nvmlDeviceGetMigMode(handle)
    except pynvml.NVMLError:  # a GPU without MIG
        return
    if current != pynvml.NVML_DEVICE_MIG_ENABLE:
        return
    for index in range(pynvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
        try:
            mig = pynvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, index)
            numbers = (
                pynvml.nvmlDeviceGetGpuInstanceId(mig),
                pynvml.nvmlDeviceGetComputeInstanceId(mig),
            )
            uuid = _text(pynvml.nvmlDeviceGetUUID(mig))
            name = _text(pynvml.nvmlDeviceGetName(mig))
        except pynvml.NVMLError:  # fewer instances than there could be
            continue
        # Drivers before R470 name an instance by its GPU and its numbers.
        old_name = f"MIG-{gpu}/{numbers[0]}/{numbers[1]}"
        yield Device(uuid=uuid, name=name, gpu=gpu, aliases=(old_name,))


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
