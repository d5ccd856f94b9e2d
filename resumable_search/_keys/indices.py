"""Keys of the indices of a split: in whatever form, the same for the same samples."""

import numpy as np

from .fingerprint import fingerprint


def indices_key(indices: object, n_samples: int | None = None) -> str:
    """Return the key of the samples that indices choose, in their order.

    Parameters
    ----------
    indices : array-like of int or bool, or slice
        As scikit-learn takes them for a split. A list, an array of any integer type
        and a mask have the same key where they choose the same samples.
    n_samples : int, default=None
        Number of samples in the data. Without it, a slice and indices that count from
        the end have keys of their own.

    Returns
    -------
    str
        128 bits as 32 hexadecimal digits.
    """
    if isinstance(indices, slice):
        if n_samples is None:
            return fingerprint(indices, "indices")
        array = np.arange(*indices.indices(n_samples), dtype=np.int64)
    elif isinstance(indices, range):  # scikit-learn refuses it
        return fingerprint(indices, "indices")
    else:
        array = np.asarray(indices)
    if array.ndim != 1:
        return fingerprint(indices, "indices")
    if array.size == 0:
        array = array.astype(np.int64)
    if array.dtype == bool:
        # A mask of another length chooses nothing: it is an error.
        if n_samples not in (None, len(array)):
            return fingerprint(indices, "indices")
        array = np.flatnonzero(array)
    if array.dtype.kind not in "iu":
        return fingerprint(indices, "indices")
    array = array.astype(np.int64)
    if n_samples is not None:
        array = np.where(array < 0, array + n_samples, array)
    return fingerprint(array, "indices")


def number_of_samples(data: object) -> int | None:
    """Return how many samples data has, or None where it does not say so."""
    shape = getattr(data, "shape", None)
    if isinstance(shape, tuple) and shape and isinstance(shape[0], int):
        return shape[0]
    return len(data) if hasattr(data, "__len__") else None
