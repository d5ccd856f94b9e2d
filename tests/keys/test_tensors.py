"""Keys of PyTorch's and JAX's tensors, modules and generators."""

import copy
import pickle

import pytest

from resumable_search import FingerprintError
from resumable_search._keys.fingerprint import fingerprint

torch = pytest.importorskip("torch")


def _linear(frozen=False, seed=0):
    torch.manual_seed(seed)
    layer = torch.nn.Linear(2, 3)
    for parameter in layer.parameters():
        parameter.requires_grad = not frozen
    return layer


def _hooked(factor, **arguments):
    layer = _linear()
    layer.register_forward_hook(lambda m, a, out: out * factor, **arguments)
    return layer


class Tied(torch.nn.Module):
    def __init__(self, tied):
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
        weight = self.a.weight
        copied = torch.nn.Parameter(weight.detach().clone())
        self.b.weight = weight if tied else copied


def _lstm():
    torch.manual_seed(0)
    return torch.nn.LSTM(2, 2)


def _marked():
    layer = _linear()
    layer.mark = 3
    return layer


MODULES = {
    "trainable": _linear,
    "frozen": lambda: _linear(True),
    "other weights": lambda: _linear(seed=1),
    "for prediction": lambda: _linear().eval(),
    "hook": lambda: _hooked(2),
    "other hook": lambda: _hooked(3),
    "hook called always": lambda: _hooked(3, always_call=True),
    "shared weights": lambda: Tied(True),
    "equal weights": lambda: Tied(False),
    "recurrent": _lstm,
    "marked": _marked,
    "statistics": lambda: torch.nn.BatchNorm1d(2),
    "compiled": lambda: torch.compile(_linear()),
}
TENSORS = {
    "float32": lambda: torch.ones(2),
    "float32 with gradient": lambda: torch.ones(2, requires_grad=True),
    "bfloat16": lambda: torch.ones(2, dtype=torch.bfloat16),
    "other bfloat16": lambda: torch.ones(2, dtype=torch.bfloat16) * 2,
    "bfloat16 without dimensions": lambda: torch.tensor(1.0, dtype=torch.bfloat16),
    "conjugate": lambda: (torch.ones(2, dtype=torch.complex64) * 1j).conj(),
    "complex": lambda: torch.ones(2, dtype=torch.complex64) * 1j,
    "sparse": lambda: torch.eye(2).to_sparse(),
    "other sparse": lambda: (torch.eye(2) * 2).to_sparse(),
    "sparse of another shape": lambda: torch.eye(2, 3).to_sparse(),
    "parameter": lambda: torch.nn.Parameter(torch.ones(2)),
    "generator": lambda: torch.Generator().manual_seed(1),
    "other generator": lambda: torch.Generator().manual_seed(2),
    "dtype": lambda: torch.float32,
}


# What torch.compile imports warns of TorchScript.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_decides_how_a_tensor_or_module_computes_counts():
    """Content, training, hooks and sharing count; equal ones have equal keys."""
    keys = {name: fingerprint(make()) for name, make in {**MODULES, **TENSORS}.items()}
    again = {name: fingerprint(make()) for name, make in {**MODULES, **TENSORS}.items()}
    assert again == keys
    assert len(set(keys.values())) == len(keys)


def test_a_module_that_was_called_or_sent_has_the_same_key():
    """Calling, copying and pickling a module leave its key as it was."""
    module = _lstm()
    key = fingerprint(module)
    module(torch.zeros(1, 1, 2))
    assert fingerprint(module) == key
    assert fingerprint(copy.deepcopy(module)) == key
    assert fingerprint(pickle.loads(pickle.dumps(module))) == key


@pytest.mark.parametrize("make", [lambda: torch.ones(2, device="meta")])
def test_what_has_no_content_is_refused(make):
    """A tensor without content has no key, and the error says so."""
    with pytest.raises(FingerprintError, match="has no content"):
        fingerprint(make())


def test_the_layout_in_memory_does_not_count():
    """A transposed copy of a transposed tensor has the key of the tensor."""
    tensor = torch.arange(6.0).reshape(2, 3)
    assert fingerprint(tensor) == fingerprint(tensor.T.contiguous().T)
