"""Which GPUs a search uses, and which part of one a worker gets. No process runs."""

import json
import os

import pytest

from resumable_search import DeviceError, ResumableSearchWarning
from resumable_search._frameworks.hooks import environment, is_out_of_memory
from resumable_search._gpu import placement
from resumable_search._gpu.devices import alone, plan_slots, select
from resumable_search._gpu.nvml import Nvml
from tests.fakes import FakeDevices, NoDevices

GB = 10**9


def uuids(devices):
    return [device.uuid for device in devices]


def visible(value, layer=None, **environ):
    if value is not None:
        environ["CUDA_VISIBLE_DEVICES"] = value
    return uuids(select("auto", environ, layer or FakeDevices(3)))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ["GPU-00aa-fake", "GPU-11aa-fake", "GPU-22aa-fake"]),
        ("2,0", ["GPU-22aa-fake", "GPU-00aa-fake"]),
        (" 1 ", ["GPU-11aa-fake"]),
        ("GPU-11aa-fake", ["GPU-11aa-fake"]),
        ("GPU-22", ["GPU-22aa-fake"]),  # cut short, as CUDA allows
        ("GPU-", []),  # cut too short
        ("1,1", ["GPU-11aa-fake"]),
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),  # Slurm's word for none
        ("0,7,1", ["GPU-00aa-fake"]),  # CUDA stops at what it does not know
    ],
)
def test_cuda_visible_devices_is_respected(value, expected):
    """The GPUs are those that CUDA would show, in its order."""
    assert visible(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ["MIG-00bb-fake", "MIG-11bb-fake", "GPU-11aa-fake"]),
        ("MIG-11bb-fake", ["MIG-11bb-fake"]),
        ("MIG-GPU-00aa-fake/8/0", ["MIG-11bb-fake"]),  # the name before driver R470
        ("0", ["MIG-00bb-fake", "MIG-11bb-fake"]),
        ("GPU-00aa-fake", ["MIG-00bb-fake", "MIG-11bb-fake"]),
        ("1", ["GPU-11aa-fake"]),
    ],
)
def test_a_mig_instance_is_a_device_of_its_own(value, expected):
    """A GPU in MIG mode stands for its instances, each with a UUID."""
    layer = FakeDevices(2, n_instances=2)
    assert visible(value, layer, CUDA_DEVICE_ORDER="PCI_BUS_ID") == expected


def test_numbers_among_gpus_of_several_kinds():
    """CUDA counts by speed unless told otherwise; a number may mean another GPU."""
    layer = FakeDevices(2, n_instances=1)  # a part of one, and a whole one
    with pytest.warns(ResumableSearchWarning, match="CUDA_DEVICE_ORDER=PCI_BUS_ID"):
        visible("1", layer)
    environ = {"CUDA_VISIBLE_DEVICES": "1", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    assert uuids(select("auto", environ, layer)) == ["GPU-11aa-fake"]


@pytest.mark.parametrize(
    ("devices", "expected"),
    [
        ([1], ["GPU-11aa-fake"]),
        (["1"], ["GPU-11aa-fake"]),
        (["GPU-22aa-fake", 0], ["GPU-22aa-fake", "GPU-00aa-fake"]),
        (("GPU-1",), ["GPU-11aa-fake"]),
    ],
)
def test_a_list_names_gpus_by_number_or_uuid(devices, expected):
    """The order of the list is kept."""
    assert uuids(select(devices, {}, FakeDevices(3))) == expected


def test_numbers_count_what_this_process_may_use():
    """As everywhere under CUDA_VISIBLE_DEVICES, number 0 is the first visible GPU."""
    environ = {"CUDA_VISIBLE_DEVICES": "2,1"}
    assert uuids(select([0], environ, FakeDevices(3))) == ["GPU-22aa-fake"]


@pytest.mark.parametrize("wanted", [3, -1, "GPU-99", "GPU-", ""])
def test_a_gpu_that_is_not_there(wanted):
    """The error names what was asked for, what is there and what limits it."""
    with pytest.raises(DeviceError) as caught:
        select([wanted], {"CUDA_VISIBLE_DEVICES": "0,1"}, FakeDevices(3))
    text = str(caught.value)
    assert repr(wanted) in text
    assert "0: Fake 80GB (GPU-00aa-fake); 1: Fake 80GB (GPU-11aa-fake)" in text
    assert "CUDA_VISIBLE_DEVICES is '0,1'" in text


def test_a_gpu_named_twice():
    """Several workers on a GPU are asked for by n_jobs, not by naming it twice."""
    with pytest.raises(DeviceError, match=r"twice.*'n_jobs'"):
        select([0, "GPU-00"], {}, FakeDevices(1))


def plans(n_slots, layer, cores=(), gpu_memory=0.9):
    devices = select("auto", {}, layer)
    return plan_slots(devices, n_slots, gpu_memory, layer, cores)


def test_slots_are_spread_over_the_gpus():
    """One after the other, so that no GPU has two more than another."""
    found = [plan.device.uuid[:6] for plan in plans(5, FakeDevices(3))]
    assert found == ["GPU-00", "GPU-11", "GPU-22", "GPU-00", "GPU-11"]


def test_fewer_slots_than_gpus():
    """Only as many GPUs as there are workers are used."""
    assert [p.device.uuid[:6] for p in plans(2, FakeDevices(3))] == ["GPU-00", "GPU-11"]


def test_equal_shares_of_what_is_free():
    """gpu_memory of the free memory, by the slots, less each one's context."""
    layer = FakeDevices(2, free=40 * GB, context=GB)
    shares = [plan.share for plan in plans(3, layer, gpu_memory=0.5)]
    assert shares == [9 * GB, 19 * GB, 9 * GB]  # the second GPU has one slot


def test_a_fold_alone_has_the_shares_of_all():
    """All that the slots of the GPU have together, for one context instead of four."""
    layer = FakeDevices(1, context=GB)
    slots = plans(4, layer)
    (device,) = select("auto", {}, layer)
    assert slots[0].share == 17 * GB
    assert alone(slots, device).share == 71 * GB


def test_a_search_inside_a_worker_shares_what_that_has(monkeypatch):
    """Nested searches in several workers do not each take the whole GPU."""
    layer = FakeDevices(1, context=GB)
    monkeypatch.setattr(placement, "layer", layer)
    (outer, _) = placement.place("auto", 2, 0.9)
    for name, value in {**dict(outer.variables), **environment(outer, {})}.items():
        monkeypatch.setenv(name, value)
    inner = placement.place("auto", 3, 0.9)
    assert [slot.share for slot in inner] == [11 * GB] * 3  # of the outer's 36 GB
    # JAX's variable is the outer worker's there, not the user's.
    name = "XLA_CLIENT_MEM_FRACTION"
    assert environment(inner[0], os.environ)[name] == "0.1375"


def test_a_share_that_is_too_small():
    """The error gives the numbers it comes from, and says what to lower."""
    with pytest.raises(DeviceError, match=r"60 MB.*0\.5 of 80\.0 GB.*'n_jobs'"):
        plans(4, FakeDevices(1, free=GB // 2, context=52_500_000))


def test_slots_have_cores_of_their_own():
    """Workers on GPUs get disjoint sets of cores, of equal size."""
    cores = [plan.cores for plan in plans(3, FakeDevices(1), cores=range(8))]
    assert cores == [(0, 1), (2, 3), (4, 5)]


def test_more_slots_than_cores():
    """Then the workers share the cores."""
    assert {plan.cores for plan in plans(3, FakeDevices(1), cores=[0, 1])} == {()}


def test_the_environment_of_a_worker():
    """It sees one GPU, by UUID, and is told its share."""
    layer = FakeDevices(1, context=0)
    variables = dict(plans(2, layer, gpu_memory=1.0)[0].variables)
    assert variables["CUDA_VISIBLE_DEVICES"] == "GPU-00aa-fake"
    told = json.loads(variables["_RESUMABLE_SEARCH_SLOT"])
    assert (told["share"], told["total"]) == (40 * GB, 80 * GB)


def test_jax_has_its_share_by_one_variable():
    """JAX takes the fraction of all memory; two names for it would be an error."""
    plan = plans(2, FakeDevices(1, context=0), gpu_memory=1.0)[0]
    names = {"XLA_CLIENT_MEM_FRACTION", "XLA_PYTHON_CLIENT_MEM_FRACTION"}
    variables = environment(plan, {})
    assert [variables[name] for name in names & set(variables)] == ["0.5000"]
    for name in names:
        assert not names & set(environment(plan, {name: "0.3"}))  # the user's wins


def test_compiled_functions_are_shared():
    """Workers find what another one compiled; the user's own place for it wins."""
    plan = plans(1, FakeDevices(1))[0]
    assert "JAX_COMPILATION_CACHE_DIR" in environment(plan, {})
    own = {"JAX_COMPILATION_CACHE_DIR": "here"}
    assert not any(name.startswith("JAX_") for name in environment(plan, own))


@pytest.mark.parametrize("layer", [NoDevices(), FakeDevices(0)])
def test_without_a_gpu(layer, monkeypatch, caplog):
    """devices="auto" gives plain slots, and one line for those who look for it."""
    monkeypatch.setattr(placement, "layer", layer)
    with caplog.at_level("DEBUG", "resumable_search"):
        slots = placement.place("auto", 2, 0.9)
    assert [(slot.device, slot.variables) for slot in slots] == [(None, ())] * 2
    assert len(caplog.records) == 1
    assert "without a GPU" in caplog.text


def test_a_list_without_a_gpu(monkeypatch):
    """Who names GPUs wants them: none is an error then."""
    monkeypatch.setattr(placement, "layer", NoDevices())
    with pytest.raises(DeviceError, match="no driver"):
        placement.place([0], 1, 0.9)


@pytest.mark.parametrize(
    "text",
    [
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB",
        "torch.cuda.OutOfMemoryError: CUDA out of memory.",
        "RuntimeError: CUDA error: out of memory",
        "RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling "
        "`cublasCreate(handle)`",
        "RuntimeError: CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling",
        "RuntimeError: cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "tensorflow.python.framework.errors_impl.ResourceExhaustedError: Graph",
        "OOM when allocating tensor with shape[256,64]",
        "InternalError: Failed to create cuBLAS handle",
        "InternalError: Dst tensor is not initialized.",
        "jaxlib.xla_extension.XlaRuntimeError: RESOURCE_EXHAUSTED: Out of memory "
        "while trying to allocate 8589934592 bytes.",
        "INTERNAL: CUDA_ERROR_OUT_OF_MEMORY: out of memory",
        "cupy.cuda.memory.OutOfMemoryError: Out of memory allocating 8 bytes",
        "MemoryError: std::bad_alloc: out_of_memory: CUDA error at: rmm",
        "xgboost.core.XGBoostError: cudaErrorMemoryAllocation: out of memory",
    ],
)
def test_out_of_memory_is_recognised(text):
    """Each framework's exception, and the failed allocations of the libraries."""
    assert is_out_of_memory(f"Traceback ...\n  File ...\n{text}")


@pytest.mark.parametrize(
    "text",
    [
        "ValueError: Input contains NaN.",
        "MemoryError: Unable to allocate 8.00 GiB for an array",
        "RuntimeError: CUDA error: device-side assert triggered",
        "torch.AcceleratorError: CUDA error: an illegal memory access",
    ],
)
def test_other_errors_are_not_out_of_memory(text):
    """They are failures of their fold."""
    assert not is_out_of_memory(text)


def any_gpu():
    try:
        return any(Nvml().gpus())
    except DeviceError:
        return False


@pytest.fixture(
    params=["fake", pytest.param("nvml", marks=pytest.mark.gpu)],
)
def layer(request):
    """Give a device layer: the fake, and the real one where there is a GPU."""
    if request.param == "fake":
        return FakeDevices(2, n_instances=3)
    if not any_gpu():
        pytest.skip("there is no NVIDIA GPU")
    return Nvml()


def test_the_contract_of_a_device_layer(layer):
    """Devices have unique UUIDs, memory of which some is free, and a context's cost."""
    found = [device for gpu in layer.gpus() for device in gpu]
    assert len(set(uuids(found))) == len(found) > 0
    for device in found:
        memory = layer.memory(device)
        assert 0 < memory.free <= memory.total
        assert 0 < layer.context_bytes(device) < memory.total


def test_no_driver_is_a_device_error():
    """Without a driver the real layer says what may be the matter."""
    if any_gpu():
        pytest.skip("there is a driver")
    with pytest.raises(DeviceError, match="driver may not be installed"):
        Nvml().gpus()
