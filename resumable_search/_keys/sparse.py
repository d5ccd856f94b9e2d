"""Keys of SciPy's sparse matrices and arrays."""

from typing import Any

import numpy as np

from .arrays import encode_array
from .encoding import encode_str, named, node
from .library_code import package_of
from .walk import Walk

#: What SciPy keeps among the attributes of a matrix.
_OWN = {
    "_has_canonical_format",
    "_has_sorted_indices",
    "_shape",
    "blocksize",
    "col",
    "coords",
    "data",
    "indices",
    "indptr",
    "maxprint",
    "offsets",
    "row",
}


def encode_sparse(walk: Walk, value: Any) -> bytes:
    """Key a sparse matrix or array by class, shape and the entries that it stores.

    Neither the order of the entries nor the width of the indices counts. Zeros that
    are stored do, and so do entries of the same place that are not summed: scikit-learn
    counts both as entries, for example in a TfidfTransformer.
    """
    parts = [_kind(walk, value), walk.encode(value.shape)]
    if value.ndim == 2:
        parts += _two_dimensional(walk, value)
    else:
        matrix = value.tocoo()
        tag = b"coo"
        if value.format == "coo" and not value.has_canonical_format:
            matrix = value.copy()
            matrix.sum_duplicates()
            if matrix.nnz != value.nnz:
                matrix, tag = value, b"not summed"
        parts.append(_entries(walk, tag, matrix.data, *matrix.coords))
    return node(b"sparse", parts)


def _two_dimensional(walk: Walk, value: Any) -> list[bytes]:
    if value.format == "coo":
        matrix = value.tocsr()  # sums what is in the same place
        if matrix.nnz != value.nnz:
            return [_entries(walk, b"not summed", value.data, value.row, value.col)]
    else:
        by_column = value.format == "csc"
        matrix = value if by_column else value.tocsr()
        if not matrix.has_sorted_indices:
            matrix = matrix.sorted_indices()
    tag = b"csc" if matrix.format == "csc" else b"csr"
    return [_entries(walk, tag, matrix.data, matrix.indices, matrix.indptr)]


def _entries(walk: Walk, tag: bytes, data: Any, *indices: Any) -> bytes:
    wide = [np.asarray(part, dtype=np.int64) for part in indices]
    return node(tag, [encode_array(walk, part) for part in (data, *wide)])


def _kind(walk: Walk, value: Any) -> bytes:
    cls = type(value)
    if package_of(cls) == "scipy":  # whatever the module that it is in
        return named(b"library", "scipy.sparse", cls.__name__)
    attributes = {k: v for k, v in vars(value).items() if k not in _OWN}
    parts = walk.attributes(attributes)
    return node(b"subclass", [walk.encode(cls), encode_str(value.format), *parts])
