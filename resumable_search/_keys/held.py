"""What a library holds under a name, and what counts by that name.

A library's hidden generator of random numbers and the process's environment and
streams change all the time, and a fold uses those of its own process. An object that
pickle cannot store is the same wherever its name in the library finds it.
"""

import importlib
import operator
import os
import random
import sys
from typing import Any

import numpy as np

from .library_code import is_library

_STREAMS = ("stdin", "stdout", "stderr")


def name_of_global(value: object) -> tuple[str, str] | None:
    """Return module and name of what changes while a process runs and is no data."""
    if value is None:
        return None
    if value is getattr(random, "_inst", None):
        return "random", "_inst"
    hidden = getattr(np.random.mtrand, "_rand", None)
    if value is hidden:
        return "numpy.random.mtrand", "_rand"
    if value is getattr(hidden, "_bit_generator", None):
        return "numpy.random.mtrand", "_rand._bit_generator"
    if value is os.environ or value is getattr(os, "environb", None):
        return "os", "environ"
    torch = sys.modules.get("torch")
    if torch is not None and value is getattr(torch, "default_generator", None):
        return "torch", "default_generator"
    for name in _STREAMS:
        if value is getattr(sys, name, None) or value is getattr(sys, f"__{name}__"):
            return "sys", name
    return None


def find_global(module: str, name: str) -> Any:
    """Return what a process has under the names that `name_of_global` returns."""
    return operator.attrgetter(name)(importlib.import_module(module))


def name_in_library(value: Any) -> tuple[str, str] | None:
    """Return module and name under which the library of its class holds a value."""
    place = type(value).__module__
    while place and is_library(place):
        module = getattr(sys.modules.get(place), "__dict__", {})
        names = [name for name, held in list(module.items()) if held is value]
        if names:
            return place, min(names)
        place = place.rpartition(".")[0]
    return None
