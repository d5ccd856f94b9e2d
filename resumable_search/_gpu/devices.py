"""Which GPUs the workers may use, and which part of one each of them gets.

Nothing here talks to a driver: that is the job of a device layer (`_nvml` has the
real one), which only has to answer three questions, so that everything that is
decided here can be tried where there is no GPU.

======================  ====================================================
what a slot on a GPU    how
======================  ====================================================
sees one GPU            ``CUDA_VISIBLE_DEVICES`` is that GPU's UUID
has its share of it     in the worker, framework by framework (`_frameworks`)
has cores of its own    the worker pins itself to them
======================  ====================================================
"""

import json
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from .._exceptions import DeviceError, ResumableSearchWarning

__all__ = [
    "Device",
    "DeviceLayer",
    "Memory",
    "SlotPlan",
    "alone",
    "plan_slots",
    "select",
]

#: Tells a worker about its slot, as JSON.
SLOT_VARIABLE = "_RESUMABLE_SEARCH_SLOT"

#: With less than this a framework does not even start (bytes).
_LEAST_SHARE = 128 * 2**20


@dataclass(frozen=True, kw_only=True, slots=True)
class Device:
    """A GPU, or a MIG instance of one, that CUDA programs can be given."""

    uuid: str
    name: str
    gpu: str
    """UUID of the whole GPU; of itself, where it is one."""
    aliases: tuple[str, ...] = ()
    """Other names that ``CUDA_VISIBLE_DEVICES`` may have for it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory:
    """Memory of a device, in bytes."""

    total: int
    free: int


class DeviceLayer(Protocol):
    """What is asked of a driver.

    No method may create a CUDA context in this process: it would hold memory that
    the workers need, and make forks unsafe.
    """

    def gpus(self) -> list[list[Device]]:
        """List the GPUs this process can open, in the order of their PCI bus.

        Each as the devices it consists of: its MIG instances, or itself.

        Raises
        ------
        DeviceError
            Where there is no driver, or no library to talk to it.
        """

    def memory(self, device: Device) -> Memory:
        """Tell how much memory a device has, and how much of it is free now."""

    def context_bytes(self, device: Device) -> int:
        """Measure what a process takes of a device before it allocates anything."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SlotPlan:
    """A place for a worker."""

    device: Device | None = None
    share: int = 0
    """Bytes of the device's memory that the worker may allocate."""
    budget: int = 0
    """Bytes that it may take in all, with its context."""
    total: int = 0
    """Bytes of memory that the device has."""
    cores: tuple[int, ...] = ()
    """Cores to run on; all, if empty."""
    variables: tuple[tuple[str, str], ...] = ()
    """Environment of the worker, beyond what all have in common."""


def alone(plans: Sequence["SlotPlan"], device: Device) -> "SlotPlan":
    """Plan a worker that has what all the slots on a device have."""
    budgets = [plan.budget for plan in plans if plan.device == device]
    one = next(plan for plan in plans if plan.device == device)
    budget = sum(budgets)
    return slot_on(device, budget - (one.budget - one.share), budget, one.total, ())


# ---------------------------------------------------------------------------
# Which devices


def select(
    devices: Any, environ: Mapping[str, str], layer: DeviceLayer
) -> list[Device]:
    """Return the devices that a search uses.

    Parameters
    ----------
    devices : "auto" or list of int and str
        The parameter of the search. Numbers count the devices this process may
        use; UUIDs may be cut short as long as they are unique.
    environ : mapping
        The environment of this process.
    layer : DeviceLayer
        The driver.
    """
    usable = _visible(layer.gpus(), environ)
    if isinstance(devices, str):  # "auto"
        return usable
    chosen: list[Device] = []
    for wanted in devices:
        device = _find(wanted, usable)
        if device is None:
            there = "; ".join(f"{i}: {d.name} ({d.uuid})" for i, d in enumerate(usable))
            raise DeviceError(
                f"The 'devices' parameter names the GPU {wanted!r}, and this process "
                f"may use: {there or 'none'}. CUDA_VISIBLE_DEVICES is "
                f"{environ.get('CUDA_VISIBLE_DEVICES', 'not set')!r}. Give numbers or "
                "UUIDs of that list, or devices='auto' for all of them."
            )
        if device in chosen:
            raise DeviceError(
                f"The 'devices' parameter names the GPU {device.uuid} twice: "
                f"{list(devices)!r}. To have several workers on a GPU raise 'n_jobs'."
            )
        chosen.append(device)
    return chosen


def _find(wanted: Any, devices: Sequence[Device]) -> Device | None:
    if isinstance(wanted, str) and not wanted.isdecimal():
        found = [d for d in devices if _is_named(d, wanted)]
        return found[0] if len(found) == 1 else None
    number = int(wanted)
    return devices[number] if 0 <= number < len(devices) else None


def _is_named(device: Device, name: str) -> bool:
    return bool(name) and any(
        own.startswith(name) for own in (device.uuid, *device.aliases)
    )


def _visible(gpus: list[list[Device]], environ: Mapping[str, str]) -> list[Device]:
    """Apply ``CUDA_VISIBLE_DEVICES`` as CUDA does.

    Slurm, containers and the user set it; what they hide in other ways, the driver
    does not list. CUDA stops reading at the first name that it does not know.
    """
    value = environ.get("CUDA_VISIBLE_DEVICES")
    if value is None:
        return [device for gpu in gpus for device in gpu]
    visible: list[Device] = []
    names = [part.strip() for part in value.split(",")]
    _check_order(names, gpus, environ)
    for name in names:
        if name.isdecimal():
            found = gpus[int(name)] if int(name) < len(gpus) else []
        else:
            found = [d for gpu in gpus for d in gpu if _is_named(d, name)]
            whole = [gpu for gpu in gpus if gpu and _is_whole(gpu[0].gpu, name)]
            if not found and len(whole) == 1:
                found = whole[0]  # a GPU in MIG mode: what it consists of
            elif len(found) > 1:
                found = []  # cut too short
        if not found:
            break
        visible.extend(device for device in found if device not in visible)
    return visible


def _check_order(
    names: list[str], gpus: list[list[Device]], environ: Mapping[str, str]
) -> None:
    """Warn if numbers may mean other GPUs to CUDA than to the driver."""
    if environ.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID":
        return
    kinds = {device.name for gpu in gpus for device in gpu}
    if len(kinds) > 1 and any(name.isdecimal() for name in names):
        warnings.warn(
            "The numbers in CUDA_VISIBLE_DEVICES may mean other GPUs here than they do "
            f"to CUDA, which puts the fastest first. Got {','.join(names)!r}, and GPUs "
            f"of several kinds: {', '.join(sorted(kinds))}. Set "
            "CUDA_DEVICE_ORDER=PCI_BUS_ID, or give UUIDs.",
            ResumableSearchWarning,
            stacklevel=2,
        )


def _is_whole(uuid: str, name: str) -> bool:
    return bool(name) and uuid.startswith(name)


# ---------------------------------------------------------------------------
# Which part of a device


def plan_slots(
    devices: Sequence[Device],
    n_slots: int,
    gpu_memory: float,
    layer: DeviceLayer,
    cores: Sequence[int],
    most: int | None = None,
) -> list[SlotPlan]:
    """Spread slots over devices, with equal shares of the memory and of the cores.

    Parameters
    ----------
    devices : sequence of Device
        At least one.
    n_slots : int
        Number of workers, over all devices.
    gpu_memory : float
        The fraction of what is free on each device that all its slots may use.
    layer : DeviceLayer
        The driver.
    cores : sequence of int
        The cores this process may run on. Where there are fewer than slots, the
        workers share them.
    most : int, default=None
        Bytes of each device that all slots may use, where that is known: in a worker
        of another search, which leaves its part to them.
    """
    used = devices[:n_slots]
    shares, budgets, totals = {}, {}, {}
    for position, device in enumerate(used):
        n_on_device = len(range(position, n_slots, len(used)))
        memory = layer.memory(device)
        context = layer.context_bytes(device)
        all_slots = int(gpu_memory * memory.free)
        if most is not None:
            all_slots = min(all_slots, most)
        budget = all_slots // n_on_device
        share = budget - context
        if share < _LEAST_SHARE:
            raise DeviceError(
                f"The share of a worker in the memory of {device.name} "
                f"({device.uuid}) would be {max(share, 0) / 1e6:.0f} MB. "
                f"{memory.free / 1e9:.1f} of {memory.total / 1e9:.1f} GB are free, "
                f"gpu_memory={gpu_memory} of that is for {n_on_device} workers, and "
                f"each takes {context / 1e6:.0f} MB before it allocates anything. "
                "Lower 'n_jobs', or see in nvidia-smi what else uses the GPU and leave "
                "it out of 'devices'."
            )
        shares[device], budgets[device] = share, budget
        totals[device] = memory.total
    per_slot = len(cores) // n_slots
    plans = []
    for position in range(n_slots):
        device = used[position % len(used)]
        own = tuple(cores[position * per_slot : (position + 1) * per_slot])
        plans.append(
            slot_on(device, shares[device], budgets[device], totals[device], own)
        )
    return plans


def slot_on(
    device: Device, share: int, budget: int, total: int, cores: tuple[int, ...]
) -> SlotPlan:
    """Plan a worker on a device."""
    slot = {
        "share": share,
        "budget": budget,
        "total": total,
        "cores": cores,
        **asdict(device),
    }
    variables = {
        "CUDA_VISIBLE_DEVICES": device.uuid,
        SLOT_VARIABLE: json.dumps(slot),
    }
    return SlotPlan(
        device=device,
        share=share,
        budget=budget,
        total=total,
        cores=cores,
        variables=tuple(variables.items()),
    )


#: A slot whose worker sees no NVIDIA GPU.
HIDDEN = SlotPlan(variables=(("CUDA_VISIBLE_DEVICES", "-1"),))


def own_budget(environ: Mapping[str, str]) -> int | None:
    """Return what this process may use of a GPU in all, if it is a worker on one."""
    slot = json.loads(environ.get(SLOT_VARIABLE, "null"))
    return None if slot is None else int(slot["budget"])


def usable_cores() -> list[int]:
    """List the cores this process may run on; empty where that cannot be told."""
    if not hasattr(os, "sched_getaffinity"):
        return []
    return sorted(os.sched_getaffinity(0))


def holds_gpu(
    driver: Path = Path("/dev/nvidiactl"), open_files: Path = Path("/proc/self/fd")
) -> bool:
    """Return whether this process has an NVIDIA GPU open.

    A CUDA context keeps its device file (``/dev/nvidia0`` ...) open for as long as
    it lives, whichever framework made it. Where there is no driver, or no
    ``/proc``, the answer is no.
    """
    if not driver.exists():
        return False
    device = driver.name.removesuffix("ctl")
    try:
        for entry in open_files.iterdir():
            name = _target_name(entry)
            if name.startswith(device) and name.removeprefix(device).isdigit():
                return True
    except OSError:
        return False
    return False


def _target_name(entry: Path) -> str:
    try:
        return entry.readlink().name
    except OSError:  # closed between the listing and the look
        return ""
