"""Several inputs of a Keras model, made of the one array that scikit-learn splits."""

import numbers
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["first_sample", "make_inputs"]

Array = npt.NDArray[Any]


def make_inputs(
    inputs: Any, X: Array, feature_names: Array | None, estimator_name: str
) -> Any:
    """Make what the model takes of the data.

    Parameters
    ----------
    inputs : callable, dict or None
        The parameter of the estimator: see ``KerasClassifier``.
    X : ndarray of shape (n_samples, n_features) or (n_samples, ...)
        The data, validated.
    feature_names : ndarray of shape (n_features,) or None
        Names of the columns.
    estimator_name : str
        What errors call the estimator.

    Returns
    -------
    inputs : ndarray, list of ndarray or dict of ndarray
        Each of shape (n_samples, ...).

    Raises
    ------
    TypeError
        If ``inputs``, or what it returns, is of another type.
    ValueError
        If a column does not exist, or a function returns another number of
        samples.
    """
    if inputs is None:
        return X
    if isinstance(inputs, dict) and inputs:
        return {
            name: X[:, _columns(name, columns, X.shape[1], feature_names)]
            for name, columns in inputs.items()
        }
    if not callable(inputs):
        raise TypeError(
            f"The 'inputs' parameter of {estimator_name} must be a dict of the names "
            "of the model's inputs and their columns in X, a function of X that "
            f"returns the inputs, or None. Got {inputs!r} instead."
        )
    made = inputs(X)
    made = list(made) if isinstance(made, tuple) else made
    arrays = list(made.values()) if isinstance(made, dict) else made
    for array in arrays if isinstance(arrays, list) else [arrays]:
        if not hasattr(array, "shape"):
            raise TypeError(
                f"The function in the 'inputs' parameter of {estimator_name} must "
                "return an array, or a list or dict of arrays. Got "
                f"{type(array).__name__} instead."
            )
        if len(array.shape) == 0 or array.shape[0] != len(X):
            raise ValueError(
                f"The function in the 'inputs' parameter of {estimator_name} must "
                f"return arrays with the samples of X along the first axis. X has "
                f"{len(X)} samples, and an array is of shape {tuple(array.shape)}."
            )
    return made


def first_sample(data: Any) -> Any:
    """Take the first sample of what `make_inputs` has made."""
    if isinstance(data, dict):
        return {name: array[:1] for name, array in data.items()}
    return [array[:1] for array in data] if isinstance(data, list) else data[:1]


def _columns(
    name: str, columns: Any, n_features: int, feature_names: Array | None
) -> Any:
    """Find the numbers of an input's columns."""
    if isinstance(columns, slice):
        return columns
    if isinstance(columns, str | numbers.Integral):
        columns = [columns]
    asked = list(columns)
    if asked and all(isinstance(column, str) for column in asked):
        if feature_names is None:
            raise ValueError(
                f"The columns of the input {name!r} are given by names, {asked!r}, but "
                "X has no column names. Pass X as a DataFrame, or give the numbers of "
                "the columns. (In a pipeline: transformers return arrays without "
                "names unless set_output(transform='pandas') was called.)"
            )
        places = {column: place for place, column in enumerate(feature_names)}
        if unknown := [column for column in asked if column not in places]:
            raise ValueError(
                f"The columns {unknown!r} of the input {name!r} are not in X. The "
                f"columns of X are: {list(feature_names)!r}."
            )
        return np.array([places[column] for column in asked])
    numbers_ = np.asarray(asked)
    if numbers_.dtype == bool and numbers_.shape == (n_features,):
        return np.flatnonzero(numbers_)
    if numbers_.ndim != 1 or not np.issubdtype(numbers_.dtype, np.integer):
        raise ValueError(
            f"The columns of the input {name!r} must be a slice, or numbers or names "
            f"of columns of X. Got {columns!r} instead."
        )
    outside = numbers_[(numbers_ < -n_features) | (numbers_ >= n_features)]
    if len(outside):
        raise ValueError(
            f"The columns {outside.tolist()!r} of the input {name!r} are not in X, "
            f"which has {n_features} columns."
        )
    return numbers_
