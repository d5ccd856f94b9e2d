"""Keys of a split's indices, held against what scikit-learn does with them."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.utils import _safe_indexing

from resumable_search._keys.fingerprint import fingerprint
from resumable_search._keys.indices import indices_key, number_of_samples

N_SAMPLES = 8
MASK = np.array([0, 0, 1, 1, 1, 0, 0, 0], bool)

SAME = {
    "list": [2, 3, 4],
    "int32": np.array([2, 3, 4], np.int32),
    "int64": np.array([2, 3, 4], np.int64),
    "uint8": np.array([2, 3, 4], np.uint8),
    "part of an array": np.arange(10)[2:5],
    "mask": MASK,
    "list of bool": MASK.tolist(),
    "slice": slice(2, 5),
    "slice from the end": slice(-6, -3),
    "from the end": np.array([-6, -5, -4]),
}
OTHER = {
    "order": [3, 2, 4],
    "twice": [2, 3, 4, 4],
    "less": [2, 3],
    "numbers like a mask": MASK.astype(int),
    "step": slice(2, 7, 2),
    "all": slice(None),
}


def chosen(indices):
    return _safe_indexing(np.arange(N_SAMPLES), indices).tolist()


@pytest.mark.parametrize("name", SAME)
def test_same_samples_have_one_key(name):
    """Lists, arrays, slices and masks that choose the same are the same."""
    indices = SAME[name]
    assert chosen(indices) == [2, 3, 4]
    assert indices_key(indices, N_SAMPLES) == indices_key([2, 3, 4], N_SAMPLES)


@pytest.mark.parametrize("name", OTHER)
def test_other_samples_have_another_key(name):
    """The samples count, and their order."""
    assert chosen(OTHER[name]) != [2, 3, 4]
    assert indices_key(OTHER[name], N_SAMPLES) != indices_key([2, 3, 4], N_SAMPLES)


def test_nothing_chosen_has_one_key():
    """No samples are no samples, whatever the type of what says so."""
    keys = {indices_key(empty, 3) for empty in ([], np.array([], int), [False] * 3)}
    assert len(keys) == 1


def test_form_counts_where_the_samples_are_not_known():
    """Without the number of samples, a slice is no list."""
    assert indices_key(slice(2, 5)) == fingerprint(slice(2, 5))
    assert indices_key(slice(2, 5)) != indices_key([2, 3, 4])
    assert indices_key([-1]) != indices_key([7])


def test_a_mask_of_another_length_has_a_key_of_its_own():
    """It is an error in scikit-learn, not the samples that it names."""
    assert indices_key(MASK[:-1], N_SAMPLES) != indices_key(MASK, N_SAMPLES)


def test_other_values_are_keyed_as_they_are():
    """Labels of a frame are no positions."""
    labels = pd.Index(["a", "b"])
    assert indices_key(labels) == fingerprint(labels)
    assert indices_key([[1, 2]]) == fingerprint([[1, 2]])
    assert indices_key(range(2, 5)) == fingerprint(range(2, 5))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (np.zeros((3, 2)), 3),
        (pd.DataFrame({"a": [1, 2]}), 2),
        (scipy.sparse.csr_matrix((4, 1)), 4),
        (["a", "b"], 2),
        (object(), None),
    ],
)
def test_number_of_samples(data, expected):
    """Arrays, frames, sparse matrices and lists say how many samples they have."""
    assert number_of_samples(data) == expected
