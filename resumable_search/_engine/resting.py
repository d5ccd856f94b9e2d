"""Pools that rest between two fits, so that the second does not wait for workers.

As joblib's workers do: a pool goes on with the next fit of this process if that
wants the same of it, and its workers end for want of work, or with the process.
"""

import atexit
import os
import sys
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

from .._checkpoint.locations import ENVIRONMENT_VARIABLE
from .._gpu.devices import Device, SlotPlan
from .._gpu.mps import MpsDaemon
from .pool import WorkerPool

__all__ = ["acquire", "end_all", "release"]

#: Set anew all the time and of no concern to an estimator, or sent with each search.
_VOLATILE_VARIABLES = frozenset(
    {ENVIRONMENT_VARIABLE, "PYTEST_CURRENT_TEST", "OLDPWD", "_"}
)

_resting: list[tuple[Any, WorkerPool]] = []
_settings: weakref.WeakKeyDictionary[WorkerPool, Any] = weakref.WeakKeyDictionary()
_resting_owner = os.getpid()


def _settings_now(
    plans: Sequence[SlotPlan], environment: Mapping[str, str]
) -> tuple[Any, ...]:
    """Return what workers take from this process when they start."""
    variables = {
        name: value
        for name, value in {**os.environ, **environment}.items()
        if name not in _VOLATILE_VARIABLES
    }
    return tuple(plans), variables, tuple(sys.path)


def acquire(
    plans: Sequence[SlotPlan],
    environment: Mapping[str, str],
    daemons: Mapping[Device, MpsDaemon] | None = None,
) -> WorkerPool:
    """Return a pool with these settings, one from an earlier fit if there is one."""
    global _resting_owner
    if _resting_owner != os.getpid():
        # After a fork: these workers are the parent's.
        _resting.clear()
        _resting_owner = os.getpid()
    wanted = _settings_now(plans, environment)
    while True:
        try:
            settings, pool = _resting.pop()
        except IndexError:  # no other, or another thread has just taken it
            break
        if settings == wanted and not daemons:
            pool.reap()
            return pool
        pool.terminate()
    pool = WorkerPool(plans, environment, daemons)
    _settings[pool] = wanted
    return pool


def release(pool: WorkerPool) -> None:
    """Keep a pool for the next fit of this process."""
    if pool.uses_daemons:
        pool.terminate()
        return
    pool.rest()
    _resting.append((_settings[pool], pool))


@atexit.register
def end_all() -> None:
    if _resting_owner == os.getpid():
        for _, pool in _resting:
            pool.terminate()
        _resting.clear()
