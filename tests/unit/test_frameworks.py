"""What a worker does with frameworks, on stand-ins for those that are not here."""

import importlib.util
import json
import os
import subprocess
import sys
import types

import pytest

from resumable_search._frameworks import hooks
from resumable_search._gpu.devices import SLOT_VARIABLE

SLOT = {"share": 8 * 2**30, "total": 16 * 2**30, "cores": []}


def test_tensorflow_gets_a_logical_device_of_the_share():
    """Every GPU that TensorFlow sees (it is one) is limited."""
    limits = []
    config = types.SimpleNamespace(
        list_physical_devices=lambda kind: [kind],
        LogicalDeviceConfiguration=lambda memory_limit: memory_limit,
        set_logical_device_configuration=lambda gpu, kinds: limits.append((gpu, kinds)),
    )
    hooks._limit_tensorflow(types.SimpleNamespace(config=config), SLOT)
    assert limits == [("GPU", [8 * 1024])]


def test_pytorch_is_limited_when_cuda_is_first_used():
    """Not before: that would make a context in a worker that may never need one."""
    later, limits = [], []
    cuda = types.SimpleNamespace(
        _lazy_call=later.append,
        set_per_process_memory_fraction=lambda *limit: limits.append(limit),
    )
    hooks._limit_torch(types.SimpleNamespace(cuda=cuda), SLOT)
    assert limits == []
    later[0]()
    assert limits == [(0.5, 0)]


@pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="PyTorch is not installed"
)
def test_pytorch_has_the_private_name_that_is_used():
    """Importing PyTorch in a worker on a GPU queues the limit."""
    code = (
        "from resumable_search._frameworks import hooks; hooks.follow(); "
        "import torch; "
        "assert any('limit' in repr(call) for call, _ in torch.cuda._queued_calls)"
    )
    environment = {**os.environ, SLOT_VARIABLE: json.dumps(SLOT)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


def worker_prints(statement, **slot):
    """Run a statement in a process that was made ready as a worker; give its output."""
    code = (
        "import os, sys; from resumable_search._frameworks import hooks; "
        f"hooks.follow(); {statement}"
    )
    environment = {**os.environ, SLOT_VARIABLE: json.dumps({**SLOT, **slot})}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    return done.stdout.strip()


def test_following_imports_nothing():
    """A worker whose estimator needs no framework has none."""
    names = ("keras", "tensorflow", "torch", "jax")
    statement = f"hooks.clear(); print([m for m in {names} if m in sys.modules])"
    assert worker_prints(statement) == "[]"


def test_a_worker_is_pinned_to_its_cores():
    """The cores of its slot, and no other."""
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("this system has no affinity of processes")
    core = min(os.sched_getaffinity(0))
    printed = worker_prints("print(os.sched_getaffinity(0))", cores=[core])
    assert printed == str({core})


def test_an_old_jax_has_the_old_variable(monkeypatch, tmp_path):
    """Which name the installed JAX knows stands in its own code."""
    (tmp_path / "jaxlib").mkdir()
    (tmp_path / "jaxlib" / "__init__.py").touch()
    client = tmp_path / "jaxlib" / "xla_client.py"
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "jaxlib", raising=False)
    client.write_text("os.getenv('XLA_PYTHON_CLIENT_MEM_FRACTION')")
    assert hooks._jax_share_name() == "XLA_PYTHON_CLIENT_MEM_FRACTION"
    client.write_text("os.getenv('XLA_CLIENT_MEM_FRACTION')")
    assert hooks._jax_share_name() == "XLA_CLIENT_MEM_FRACTION"
