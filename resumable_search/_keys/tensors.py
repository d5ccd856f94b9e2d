"""Keys of tensors and variables: PyTorch's, JAX's, TensorFlow's and Keras's."""

from typing import Any

import numpy as np

from .encoding import encode_str, node
from .walk import Walk


def encode_tensor(walk: Walk, value: Any) -> bytes:
    """Key a tensor or variable by class, dtype and content."""
    parts = [walk.encode(type(value)), encode_str(str(value.dtype))]
    if hasattr(value, "detach"):  # PyTorch; NumPy has no bfloat16
        value = value.detach().cpu()
        value = value.float() if "bfloat16" in str(value.dtype) else value
    content = value.numpy() if hasattr(value, "numpy") else np.asarray(value)
    return node(b"tensor", [*parts, walk.encode(content)])
