"""Targets as a Keras model needs them, and its outputs as predictions.

::

    ClassTargets.learn(y)      what the classes are          before the model is built
           .settle(output)     how its output stands for them
           .encode(y)          the targets of Model.fit      y, and validation data
           .probabilities(raw), .decode(probabilities)       for predictions

``NumberTargets`` is the same for regression.
"""

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import issparse
from scipy.special import expit, softmax
from sklearn.utils import column_or_1d
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target

__all__ = ["ClassTargets", "NumberTargets", "Output", "describe_output"]

Array = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Output:
    """What the output of a model is like."""

    loss: str  # its name without underscores, in lower case
    from_logits: bool
    activation: str | None  # of the last layer; None: it has none that we know
    n_units: int


def describe_output(keras: Any, model: Any, n_units: int) -> Output:
    """Find out what the output of a compiled model is like."""
    loss = model.loss
    if isinstance(loss, list | tuple | dict) and len(loss) == 1:
        (loss,) = loss.values() if isinstance(loss, dict) else loss
    if isinstance(loss, str):
        loss = keras.losses.get(loss)
    name = getattr(loss, "__name__", type(loss).__name__)
    last = model.layers[-1] if model.layers else None
    activation = getattr(last, "activation", None)
    if isinstance(last, keras.layers.Softmax):
        activation = keras.activations.softmax
    return Output(
        loss=name.replace("_", "").lower(),
        from_logits=bool(getattr(loss, "from_logits", False)),
        activation=getattr(activation, "__name__", None),
        n_units=n_units,
    )


def _refuse_sparse(y: Any, name: str) -> None:
    if issparse(y):
        raise TypeError(f"{name} needs dense targets. Use y.toarray().")


class ClassTargets:
    """Labels, one-hot rows, or rows with any number of ones (multi-label).

    Attributes
    ----------
    classes : ndarray of shape (n_classes,)
        The labels; for rows the numbers of the columns.
    target_type : str
        As scikit-learn's ``type_of_target`` calls it.
    n_outputs : int
        Number of columns, 1 for a 1-D array.
    multilabel : bool
        Whether a sample can have several labels or none. Rows that are one-hot by
        chance can be multi-label too: known when the output has been settled.
    """

    def __init__(self, estimator_name: str) -> None:
        self._name = estimator_name
        self._rows_dtype: Any = None
        self._output: Output | None = None
        self.multilabel = False

    def learn(self, y: Any) -> None:
        """Find the classes."""
        check_classification_targets(y)
        _refuse_sparse(y, self._name)
        self.target_type = type_of_target(y)
        self.n_outputs = 1 if y.ndim == 1 else y.shape[1]
        if self.target_type in ("binary", "multiclass"):
            self.classes = np.unique(column_or_1d(y, warn=True))
        elif self.target_type == "multilabel-indicator" and np.isin(y, (0, 1)).all():
            self.classes = np.arange(y.shape[1])
            self._rows_dtype = y.dtype
            self.multilabel = not bool((y.sum(axis=1) == 1).all())
        else:
            raise ValueError(
                f"The targets of {self._name} must be labels, or rows of 0 and 1: "
                "one-hot with a single 1 in each, or with any number of ones for "
                f"several labels. Got targets of type {self.target_type!r} instead."
            )
        if len(self.classes) == 1:
            raise ValueError(
                f"{self._name} needs at least two classes in y. Got one class instead: "
                f"{self.classes[0]!r}."
            )

    def settle(self, output: Output) -> None:
        """Decide how the model's output stands for the classes."""
        self._output = output
        n_classes, n_units, loss = len(self.classes), output.n_units, output.loss
        by_label = "categorical" not in loss and output.activation != "softmax"
        if self.multilabel and not by_label:
            raise ValueError(
                f"The targets of {self._name} have rows with several ones or none "
                f"(multi-label), which do not fit a model with the loss {loss!r} and "
                f"the activation {output.activation!r}. It needs one sigmoid unit for "
                "each label (in the function that builds it: meta['n_classes_']) and "
                "the loss 'binary_crossentropy'. For a single class per sample, give "
                "labels, or one-hot rows with a single 1 in each."
            )
        if self._rows_dtype is not None and n_units == n_classes and by_label:
            self.multilabel = self.multilabel or loss.startswith("binary")
        if n_units == n_classes:
            return
        if n_units == 1 and n_classes == 2 and not self.multilabel and by_label:
            return
        units = "1 output unit" if n_units == 1 else f"{n_units} output units"
        kind = "labels" if self.multilabel else "classes"
        raise ValueError(
            f"The labels do not fit the model of {self._name}: y has {n_classes} "
            f"{kind}, and the model has {units} with the loss {loss!r}. It needs one "
            f"unit for each of the {kind} (in the function that builds it: "
            "meta['n_classes_']), or for two classes a single sigmoid unit with the "
            "loss 'binary_crossentropy'."
        )

    @property
    def _settled(self) -> Output:
        assert self._output is not None, "settle has not been called"
        return self._output

    def _indexes(self, y: Any) -> Array:
        """Find each sample's place among the classes."""
        if self._rows_dtype is not None:
            rows = self._check_rows(y)
            if (rows.sum(axis=1) != 1).any():
                raise ValueError(
                    f"{self._name} was given one-hot rows with a single 1 in each in "
                    "y. Got rows with several ones or none in the validation data."
                )
            return np.asarray(rows.argmax(axis=1))
        labels = column_or_1d(y)
        known = np.isin(labels, self.classes)
        if not known.all():
            raise ValueError(
                f"The labels {np.unique(labels[~known]).tolist()!r} of the validation "
                f"data are not in the y of {self._name}, which has "
                f"{self.classes.tolist()!r}."
            )
        return np.asarray(np.searchsorted(self.classes, labels))

    def _check_rows(self, y: Any) -> Array:
        rows = np.asarray(y)
        n_classes = len(self.classes)
        if (
            rows.ndim != 2
            or rows.shape[1] != n_classes
            or not np.isin(rows, (0, 1)).all()
        ):
            raise ValueError(
                f"{self._name} was given rows of {n_classes} columns of 0 and 1 in y. "
                f"Got targets of shape {rows.shape} in the validation data."
            )
        return rows

    def encode(self, y: Any) -> Array:
        """Encode targets as the loss and the model's output need them.

        Parameters
        ----------
        y : ndarray of shape (n_samples,) or (n_samples, n_classes)
            Targets of the training or of the validation.

        Returns
        -------
        encoded : ndarray of shape (n_samples,), (n_samples, 1) or \
                (n_samples, n_classes)
            Integers for sparse losses, else 0 and 1 as 32-bit floats.

        Raises
        ------
        ValueError
            If the classes are others than those of ``learn``.
        """
        _refuse_sparse(y, self._name)
        if self.multilabel:
            return self._check_rows(y).astype(np.float32)
        indexes = self._indexes(y)
        if self._settled.n_units == 1:
            return indexes.reshape(-1, 1).astype(np.float32)
        if self._settled.loss.startswith("sparse"):
            return indexes
        return np.eye(len(self.classes), dtype=np.float32)[indexes]

    def weights(self, y: Any, class_weight: Any) -> Array | None:
        """Return the weight of each sample's class."""
        if class_weight is None:
            return None
        if self.multilabel:
            raise ValueError(
                f"The 'class_weight' parameter of {self._name} must be None for "
                "multi-label targets, where a sample has no single class. Got "
                f"{class_weight!r} instead. Pass sample_weight to fit."
            )
        labels = self.classes[self._indexes(y)]
        return np.asarray(compute_sample_weight(class_weight, labels))

    def probabilities(self, raw: Array) -> Array:
        """Make probabilities, shape (n_samples, n_classes), of the model's output."""
        output = self._settled
        raw = raw.astype(np.float64)
        if self.multilabel:
            return np.asarray(expit(raw) if output.from_logits else np.clip(raw, 0, 1))
        several = output.n_units > 1
        if output.from_logits and several and not output.loss.startswith("bin"):
            return np.asarray(softmax(raw, axis=1))
        raw = expit(raw) if output.from_logits else np.clip(raw, 0, None)
        if not several:
            raw = np.minimum(raw, 1)
            return np.hstack([1 - raw, raw])
        total = raw.sum(axis=1, keepdims=True)
        raw[total[:, 0] == 0] = 1  # nothing speaks for any class
        return np.asarray(raw / raw.sum(axis=1, keepdims=True))

    def decode(self, probabilities: Array) -> Array:
        """Find the predicted targets, in the form that ``y`` had."""
        if self.multilabel:
            return np.asarray(probabilities > 0.5, dtype=self._rows_dtype)
        indexes = probabilities.argmax(axis=1)
        if self._rows_dtype is not None:
            return np.asarray(
                np.eye(len(self.classes), dtype=self._rows_dtype)[indexes]
            )
        return np.asarray(self.classes[indexes])


class NumberTargets:
    """Targets of a regression.

    Attributes
    ----------
    target_type : str
        As scikit-learn's ``type_of_target`` calls it.
    n_outputs : int
        Number of columns, 1 for a 1-D array.
    """

    def __init__(self, estimator_name: str) -> None:
        self._name = estimator_name

    def learn(self, y: Any) -> None:
        """Find the number of targets."""
        _refuse_sparse(y, self._name)
        self.target_type = type_of_target(y)
        self.n_outputs = 1 if y.ndim == 1 else y.shape[1]
        self._ndim = y.ndim

    def settle(self, output: Output) -> None:
        """Check the number of units."""
        if output.n_units != self.n_outputs:
            raise ValueError(
                f"The targets do not fit the model of {self._name}: y has "
                f"{self.n_outputs} outputs, and the model has {output.n_units} output "
                "units. In the function that builds it, the number of outputs is "
                "meta['n_outputs_']."
            )

    def encode(self, y: Any) -> Array:
        """Return the targets as 32-bit floats of shape (n_samples, n_outputs)."""
        _refuse_sparse(y, self._name)
        encoded = np.asarray(y).reshape(len(y), -1).astype(np.float32)
        if encoded.shape[1] != self.n_outputs:
            raise ValueError(
                f"{self._name} was given {self.n_outputs} outputs in y. Got "
                f"{encoded.shape[1]} outputs in the validation data."
            )
        return np.asarray(encoded)

    def decode(self, raw: Array) -> Array:
        """Return predictions with as many dimensions as ``y`` had."""
        raw = raw.astype(np.float64)
        return raw[:, 0] if self._ndim == 1 else raw
