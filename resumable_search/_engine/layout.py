"""The places of a pool's workers, and which of them share a GPU."""

import os
from collections.abc import Mapping, Sequence

from .._frameworks.hooks import environment as framework_environment
from .._gpu.devices import Device, SlotPlan, alone
from .._gpu.mps import MpsDaemon
from .occupants import Occupant
from .slots import SharedDevice, Slot

__all__ = ["lay_out"]


def lay_out(
    plans: Sequence[SlotPlan],
    environment: Mapping[str, str],
    daemons: Mapping[Device, MpsDaemon],
) -> tuple[list[Slot], dict[Device, SharedDevice], dict[Slot, Occupant]]:
    """Make a slot for each plan, and for each GPU what its slots share.

    Parameters
    ----------
    plans : sequence of SlotPlan
        Where the workers are.
    environment : mapping of str to str
        For all workers.
    daemons : mapping of Device to MpsDaemon
        Where the workers on a GPU are to be attached.
    """
    occupants: dict[Slot, Occupant] = {}

    def slot_for(plan: SlotPlan, number: int, daemon: MpsDaemon | None = None) -> Slot:
        variables = {**environment, **framework_environment(plan, os.environ)}
        if daemon is not None:
            n_slots = sum(other.device == plan.device for other in plans)
            variables.update(daemon.client_environment(n_slots, plan.budget))
        slot = Slot(plan, number)
        occupants[slot] = Occupant(slot, variables, daemon)
        return slot

    slots = [
        slot_for(plan, number, daemons.get(plan.device))  # type: ignore[arg-type]
        for number, plan in enumerate(plans)
    ]
    shared: dict[Device, SharedDevice] = {}
    for device in dict.fromkeys(plan.device for plan in plans):
        if device is None:
            continue
        on_device = [slot for slot in slots if slot.plan.device == device]
        # A fold that has the GPU for itself takes the place of the first one there.
        whole = slot_for(alone(plans, device), on_device[0].number)
        shared[device] = SharedDevice(on_device, whole, has_daemon=device in daemons)
    return slots, shared, occupants
