"""Where the workers of a search run: on which GPUs, or on none."""

import logging
import os
import warnings
from collections import Counter
from collections.abc import Sequence
from typing import Any

from .._exceptions import DeviceError, MpsError, ResumableSearchWarning
from .devices import (
    HIDDEN,
    Device,
    DeviceLayer,
    SlotPlan,
    own_budget,
    plan_slots,
    select,
    usable_cores,
)
from .mps import MAX_CLIENTS, MpsDaemon, remove_abandoned
from .nvml import Nvml

__all__ = ["place", "start_daemons"]

_log = logging.getLogger("resumable_search")

layer: DeviceLayer = Nvml()


def place(devices: Any, n_slots: int, gpu_memory: float) -> list[SlotPlan]:
    """Plan the slots of a search.

    Parameters
    ----------
    devices : "auto", None or list
        The parameter of the search.
    n_slots : int
        Number of workers.
    gpu_memory : float
        The fraction of the free memory of each GPU that the search may use.
    """
    if devices is None:
        return [HIDDEN] * n_slots
    try:
        chosen = select(devices, os.environ, layer)
    except DeviceError as exc:
        if devices != "auto":
            raise
        _log.debug("The workers run without a GPU. %s", exc)
        return [SlotPlan()] * n_slots
    if not chosen:
        _log.debug("The workers run without a GPU: there is none.")
        return [SlotPlan()] * n_slots
    # What a killed search has left of MPS holds memory.
    remove_abandoned()
    most = own_budget(os.environ)
    try:
        return plan_slots(chosen, n_slots, gpu_memory, layer, usable_cores(), most)
    except DeviceError as exc:
        if devices != "auto":
            raise
        # Most searches need no GPU. One that does shall not run into a full one.
        warnings.warn(
            f"The workers do not see a GPU. {exc} If they need none, devices=None says "
            "so without this warning.",
            ResumableSearchWarning,
            stacklevel=2,
        )
        return [HIDDEN] * n_slots


def start_daemons(mps: str, plans: Sequence[SlotPlan]) -> dict[Device, MpsDaemon]:
    """Start an MPS daemon on each GPU that several workers share.

    Parameters
    ----------
    mps : "off", "auto" or "on"
        The parameter of the search. With "on" a warning says where there is none.
    plans : sequence of SlotPlan
        The slots of the search.
    """
    n_slots = Counter(plan.device for plan in plans if plan.device is not None)
    daemons: dict[Device, MpsDaemon] = {}
    if mps == "off":
        return daemons
    for device, n_on_device in n_slots.items():
        if n_on_device == 1:
            continue  # nobody to share it with
        try:
            if n_on_device > MAX_CLIENTS:
                raise MpsError(
                    f"A GPU takes {MAX_CLIENTS} processes with MPS. Got {n_on_device}. "
                    "Lower 'n_jobs', or give mps='off'."
                )
            daemons[device] = MpsDaemon(device.uuid)
        except MpsError as exc:
            if mps == "on":
                warnings.warn(
                    f"The workers share {device.name} ({device.uuid}) in time slices, "
                    f"not by MPS. {exc}",
                    ResumableSearchWarning,
                    stacklevel=2,
                )
            else:
                _log.debug("No MPS on %s. %s", device.uuid, exc)
    return daemons
