"""scikit-learn estimators around a Keras 3 model.

``KerasClassifier`` and ``KerasRegressor`` take the function that builds and
compiles a model. They follow the conventions of ``keras.wrappers`` and of
SciKeras (``model__*`` goes to the function, ``fit__*`` to ``Model.fit``, a
parameter named ``meta`` tells the function about the data), and are built on
neither: ``clone`` of a ``keras.wrappers`` estimator drops its ``fit_kwargs``,
there is no ``predict_proba``, and its classes need Keras when they are
defined; SciKeras is no longer developed, and scikit-learn >= 1.7 does not
take its classifier for one.

Importing this module imports neither Keras nor a backend of it: ``fit``,
``predict`` and unpickling do. So the process that runs a search, and leaves
the fitting to its workers, stays without a framework until the refit.
"""

import contextlib
import copy
import importlib
import inspect
import numbers
import pathlib
import random
import tempfile
from collections.abc import Callable, Iterator
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.sparse import issparse
from scipy.special import expit, softmax
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import (
    check_array,
    check_consistent_length,
    check_random_state,
    column_or_1d,
    validation,
)
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted

__all__ = ["KerasClassifier", "KerasRegressor"]

# Parameters with these prefixes need not be declared: they are passed on.
_PREFIXES = ("model__", "fit__", "predict__")

Array = npt.NDArray[Any]


def _import_keras() -> Any:
    """Import Keras: in a function, because this takes seconds and a GPU."""
    return importlib.import_module("keras")


def _validate(estimator: Any, *data: Any, **options: Any) -> Any:
    """Call scikit-learn's ``validate_data`` (until 1.5: a private method)."""
    if hasattr(validation, "validate_data"):  # scikit-learn >= 1.6
        return validation.validate_data(estimator, *data, **options)
    return estimator._validate_data(*data, **options)


@contextlib.contextmanager
def _seeded(keras: Any, random_state: Any) -> Iterator[None]:
    """Seed everything for one fit, and give NumPy and Python theirs back."""
    if random_state is None:
        yield
        return
    if isinstance(random_state, numbers.Integral):
        check_random_state(random_state)  # for scikit-learn's error if < 0
        seed = int(random_state)
    else:
        seed = int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
    states = random.getstate(), np.random.get_state()
    try:
        keras.utils.set_random_seed(seed)
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])


def _fresh_callbacks(callbacks: Any) -> Any:
    """Make the callbacks of one fit, which share no state with another's."""
    if callable(callbacks):
        return callbacks()
    try:
        return copy.deepcopy(callbacks)
    except TypeError as exc:
        exc.add_note(
            "Each fit needs its own copy of the Keras callbacks, and one of these "
            "cannot be copied. Pass a function that returns them as 'callbacks'."
        )
        raise


def _is_model(model: Any) -> bool:
    """Tell a Keras model from a function, without importing Keras."""
    return hasattr(model, "get_compile_config") and not inspect.isclass(model)


def _clone_model(keras: Any, model: Any) -> Any:
    """Copy a compiled model with its weights, but with a fresh optimizer."""
    copied = keras.models.clone_model(model)
    if model.built:
        copied.set_weights(model.get_weights())
    if model.compiled:  # again, because old releases of clone_model do not
        copied.compile_from_config(model.get_compile_config())
    return copied


def _loss(keras: Any, model: Any) -> tuple[str, bool]:
    """Find the name of the model's loss, and whether it takes logits."""
    loss = model.loss
    if isinstance(loss, list | tuple | dict) and len(loss) == 1:
        (loss,) = loss.values() if isinstance(loss, dict) else loss
    if isinstance(loss, str):
        loss = keras.losses.get(loss)
    name = getattr(loss, "__name__", type(loss).__name__)
    return name.replace("_", "").lower(), bool(getattr(loss, "from_logits", False))


class _KerasEstimator(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """What the classifier and the regressor share."""

    model: Any
    model_: Any
    X_shape_: tuple[int, ...]

    def _assign_routed(self, parameters: dict[str, Any]) -> None:
        """Keep the ``model__*``, ``fit__*`` and ``predict__*`` parameters."""
        for name, value in parameters.items():
            if not name.startswith(_PREFIXES):
                raise TypeError(
                    f"{type(self).__name__}.__init__() got an unexpected keyword "
                    f"argument {name!r}. Parameters of the function that builds the "
                    f"model are given as 'model__{name}', those of Model.fit as "
                    f"'fit__{name}'."
                )
            setattr(self, name, value)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get the parameters, those that are passed on included.

        Parameters
        ----------
        deep : bool, default=True
            As in scikit-learn.

        Returns
        -------
        params : dict
            Parameter names mapped to their values.
        """
        routed = {
            k: v for k, v in sorted(vars(self).items()) if k.startswith(_PREFIXES)
        }
        return {**super().get_params(deep=deep), **routed}

    def set_params(self, **params: Any) -> Self:
        """Set parameters; ``model__*``, ``fit__*``, ``predict__*`` may be new.

        Parameters
        ----------
        **params : dict
            Parameter names mapped to their values.

        Returns
        -------
        self : estimator instance
            This estimator.

        Raises
        ------
        ValueError
            If there is no such parameter.
        """
        routed = {k: v for k, v in params.items() if k.startswith(_PREFIXES)}
        super().set_params(**{k: v for k, v in params.items() if k not in routed})
        for name, value in routed.items():
            setattr(self, name, value)
        return self

    def __sklearn_clone__(self) -> Any:
        """Clone; a Keras model is shared, as fits train copies of it.

        scikit-learn would copy it deeply: through a file, and with a warning if
        the optimizer has not been used yet.
        """
        if not _is_model(self.model):
            return super().__sklearn_clone__()
        bare = type(self).__new__(type(self))
        bare.__dict__.update(vars(self), model=None)
        cloned = super(_KerasEstimator, bare).__sklearn_clone__()
        cloned.model = self.model
        return cloned

    def __getstate__(self) -> dict[str, Any]:
        """Replace the fitted model by the bytes of its ``.keras`` file."""
        state = dict(super().__getstate__())
        given = self.model
        if (
            _is_model(given)
            and given.built
            and not getattr(given.optimizer, "built", True)
        ):  # Keras warns when it loads such a model
            given.optimizer.build(given.trainable_variables)
        if "model_" in state:
            with tempfile.TemporaryDirectory() as folder:
                path = pathlib.Path(folder, "model.keras")
                state["model_"].save(path)
                state["model_"] = path.read_bytes()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Load the fitted model from the bytes of its ``.keras`` file."""
        state = dict(state)
        if "model_" in state:
            with tempfile.TemporaryDirectory() as folder:
                path = pathlib.Path(folder, "model.keras")
                path.write_bytes(state["model_"])
                # Not in safe mode, which refuses Lambda layers: a pickle can
                # run any code already.
                state["model_"] = _import_keras().saving.load_model(
                    path, safe_mode=False
                )
        super().__setstate__(state)

    def _more_tags(self) -> dict[str, Any]:  # scikit-learn < 1.6
        return {"non_deterministic": True, "poor_score": True}

    def __sklearn_tags__(self) -> Any:  # scikit-learn >= 1.6
        tags = super().__sklearn_tags__()
        tags.non_deterministic = True  # on a GPU, whatever the seed
        return tags

    def _routed(self, prefix: str) -> dict[str, Any]:
        """Get the parameters with this prefix, without it.

        A search over ``numpy.arange`` or scipy distributions sets NumPy scalars,
        which Keras layers refuse: they become Python's.
        """
        return {
            name.removeprefix(prefix): v.item() if isinstance(v, np.generic) else v
            for name, v in vars(self).items()
            if name.startswith(prefix)
        }

    def _fit_arguments(self, overrides: dict[str, Any]) -> dict[str, Any]:
        """Gather what ``Model.fit`` is called with, the data aside."""
        names = set(type(self)._get_param_names()) - {"model", "random_state"}
        arguments: dict[str, Any] = {name: getattr(self, name) for name in names}
        arguments.update(self._routed("fit__"), **overrides)
        for name in ("epochs", "batch_size"):
            value = arguments[name]
            if value is None and name == "batch_size":
                continue
            if not isinstance(value, numbers.Integral) or value < 1:
                raise ValueError(
                    f"The {name!r} parameter of {type(self).__name__} must be an int "
                    f"in the range [1, inf). Got {value!r} instead."
                )
            arguments[name] = int(value)
        arguments["callbacks"] = _fresh_callbacks(arguments["callbacks"])
        return arguments

    def _check_samples(self, X: Array, reset: bool) -> Array:
        """Check what scikit-learn's validation does not: the other dimensions."""
        if reset:
            self.X_shape_ = X.shape
            self.X_dtype_ = X.dtype
        elif X.shape[2:] != self.X_shape_[2:]:
            raise ValueError(
                f"X has samples of shape {X.shape[1:]}, but {type(self).__name__} is "
                f"expecting samples of shape {self.X_shape_[1:]} as input."
            )
        return X.astype(np.float32) if X.dtype == bool else X

    def _call_function(self, function: Callable[..., Any], meta: dict[str, Any]) -> Any:
        """Build the model, after a check of the parameters for the function."""
        arguments = self._routed("model__")
        signature = inspect.signature(function)
        accepted = signature.parameters
        function_name = getattr(function, "__name__", repr(function))
        takes_any = any(p.kind is p.VAR_KEYWORD for p in accepted.values())
        for name in arguments:
            if name not in accepted and not takes_any:
                raise ValueError(
                    f"Invalid parameter {'model__' + name!r} for estimator {self}: the "
                    f"function {function_name} has no parameter {name!r}. Its "
                    f"parameters are: {[n for n in accepted if n != 'meta']!r}."
                )
        if "meta" in accepted:
            arguments.setdefault("meta", meta)
        try:
            signature.bind(**arguments)
        except TypeError as exc:
            raise TypeError(
                f"The function {function_name}, the 'model' parameter of "
                f"{type(self).__name__}, cannot be called: {exc}. Give the parameters "
                "of the function as 'model__<name>'."
            ) from exc
        return function(**arguments)

    def _build(self, keras: Any, X: Array, meta: dict[str, Any]) -> tuple[Any, int]:
        """Get a compiled model for one fit, and its number of output units."""
        name = type(self).__name__
        if isinstance(self.model, keras.Model):
            if unused := sorted(self._routed("model__")):
                raise ValueError(
                    f"Invalid parameter {'model__' + unused[0]!r} for estimator "
                    f"{name}: its 'model' parameter is a Keras model and not a "
                    "function, and takes no parameters."
                )
            model, source = _clone_model(keras, self.model), "the given model"
        elif callable(self.model):
            model = self._call_function(self.model, meta)
            function_name = getattr(self.model, "__name__", repr(self.model))
            source = f"the model that {function_name} returned"
            if not isinstance(model, keras.Model):
                raise TypeError(
                    f"The function {function_name}, the 'model' parameter of {name}, "
                    f"must return a compiled Keras model. Got {model!r} instead."
                )
        else:
            raise TypeError(
                f"The 'model' parameter of {name} must be a function that returns a "
                f"compiled Keras model, or a compiled Keras model. Got {self.model!r} "
                "instead."
            )
        if not model.compiled or model.loss is None:
            raise ValueError(
                f"{name} needs a compiled model with a loss, and {source} is not. Call "
                "model.compile(optimizer=..., loss=...) before returning it."
            )
        if not model.built:  # a Sequential without Input, or a class of the user's
            model(X[:1])
        shape = getattr(model, "output_shape", None) if model.built else None
        if not isinstance(shape, tuple) or any(isinstance(s, tuple) for s in shape):
            shape = getattr(model(X[:1]), "shape", None)
        if shape is None or len(shape) > 2:
            raise ValueError(
                f"{name} needs a model with one output of shape (n_samples, n_units), "
                f"and {source} has the output {shape or 'structure of several arrays'}."
            )
        return model, int(shape[1]) if len(shape) == 2 else 1

    def _train(
        self,
        X: Array,
        encode: Callable[[Any, Any, int], Array],
        meta: dict[str, Any],
        sample_weight: Any,
        arguments: dict[str, Any],
    ) -> None:
        """Build, encode the targets as the model wants them, and train."""
        keras = _import_keras()
        meta = {
            "n_features_in_": self.n_features_in_,
            "X_shape_": self.X_shape_,
            "X_dtype_": self.X_dtype_,
            **meta,
        }
        with _seeded(keras, self.random_state):
            model, n_units = self._build(keras, X, meta)
            target = encode(keras, model, n_units)
            history = model.fit(X, target, sample_weight=sample_weight, **arguments)
        self.model_ = model
        self.history_ = history.history
        self.n_iter_ = len(history.epoch)

    def _check_weight(self, sample_weight: Any, X: Array) -> Any:
        """Check the sample weights: finite numbers, one for each sample."""
        if sample_weight is None:
            return None
        weight = check_array(
            sample_weight, ensure_2d=False, dtype=np.float32, input_name="sample_weight"
        )
        if weight.ndim != 1:
            raise ValueError("Sample weights must be 1D array or scalar")
        check_consistent_length(weight, X)
        return weight

    def _raw_predict(self, X: Any) -> Array:
        """Run the fitted model: an array of shape (n_samples, n_units)."""
        check_is_fitted(self)
        X = _validate(self, X, reset=False, allow_nd=True)
        X = self._check_samples(X, reset=False)
        batch_size = None if self.batch_size is None else int(self.batch_size)
        arguments = {"batch_size": batch_size, "verbose": self.verbose}
        arguments.update(self._routed("predict__"))
        raw = np.asarray(self.model_.predict(X, **arguments))
        return raw.reshape(len(raw), -1)


class KerasClassifier(ClassifierMixin, _KerasEstimator):  # type: ignore[misc]
    """scikit-learn classifier around a function that builds a Keras model.

    Parameters
    ----------
    model : callable or keras.Model
        Function that returns a new compiled model. Its parameters are set as
        ``model__<name>``, and are parameters of the estimator that can be
        searched over. If it has a parameter named ``meta``, it is given a dict
        with ``n_features_in_``, ``X_shape_``, ``X_dtype_``, ``n_outputs_``,
        ``n_classes_``, ``classes_`` and ``target_type_``. A compiled model is
        possible too: every fit trains a copy that starts with its weights, and
        the model itself is left as it is.
    epochs : int, default=1
        Number of passes over the training data.
    batch_size : int, default=None
        Number of samples in a batch, in ``fit`` and in ``predict``; None for
        Keras's 32.
    validation_split : float, default=0.0
        Fraction of the samples, the last ones, that Keras sets aside for
        ``val_loss``.
    callbacks : list of keras.callbacks.Callback or callable, default=None
        Callbacks for the training. Every fit gets deep copies, so that folds
        share no state. Where that will not do, a function that returns a list.
    class_weight : dict or "balanced", default=None
        Weights of the classes, by label as in ``y``; "balanced" for weights that
        are inversely proportional to the frequencies. They are multiplied with
        the sample weights.
    shuffle : bool, default=True
        Whether to shuffle the samples before each epoch.
    verbose : int or str, default=0
        What Keras prints in ``fit`` and ``predict``. 0 for nothing.
    random_state : int, RandomState instance or None, default=None
        Seed for ``keras.utils.set_random_seed`` before the model is built.
        Equal seeds give equal models, to the bit on a CPU. The random states of
        NumPy and of Python are the same after the fit as before. None to leave
        all seeds alone.
    **kwargs : dict
        ``model__*``: parameters of the function. ``fit__*``: any argument of
        ``Model.fit``, in preference to a parameter above. ``predict__*``: any
        argument of ``Model.predict``.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels; for one-hot targets the numbers of the columns.
    n_classes_ : int
        Number of classes.
    n_outputs_ : int
        Number of columns of ``y``, 1 for a 1-D array.
    n_features_in_ : int
        Size of the second dimension of ``X``.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, where ``X`` has any.
    model_ : keras.Model
        The trained model.
    history_ : dict of list
        Loss and metrics, one value for each epoch.
    n_iter_ : int
        Number of epochs that were run.

    Notes
    -----
    The loss decides how labels are encoded: integers for one whose name starts
    with "sparse", a column of 0 and 1 for a model with one unit, else one-hot.
    It also decides what the outputs mean: logits if it was made with
    ``from_logits=True``, else probabilities. Hinge losses give neither.

    Pickling keeps the trained model as a ``.keras`` file: layers, losses and
    other objects of your own need
    ``keras.saving.register_keras_serializable``.

    Examples
    --------
    >>> from resumable_search.keras import KerasClassifier
    >>> def build_model(meta, units=16):
    ...     import keras
    ...     model = keras.Sequential([
    ...         keras.layers.Dense(units, activation="relu"),
    ...         keras.layers.Dense(meta["n_classes_"], activation="softmax"),
    ...     ])
    ...     model.compile(loss="sparse_categorical_crossentropy")
    ...     return model
    >>> classifier = KerasClassifier(build_model, epochs=10, model__units=32)
    >>> classifier.fit(X, y).predict_proba(X)  # doctest: +SKIP
    """

    def __init__(
        self,
        model: Any,
        *,
        epochs: int = 1,
        batch_size: int | None = None,
        validation_split: float = 0.0,
        callbacks: Any = None,
        class_weight: dict[Any, float] | str | None = None,
        shuffle: bool = True,
        verbose: int | str = 0,
        random_state: Any = None,
        **kwargs: Any,
    ) -> None:
        self.model = model
        self.epochs = epochs
        self.batch_size = batch_size
        self.validation_split = validation_split
        self.callbacks = callbacks
        self.class_weight = class_weight
        self.shuffle = shuffle
        self.verbose = verbose
        self.random_state = random_state
        self._assign_routed(kwargs)

    def __sklearn_tags__(self) -> Any:
        """Get the tags of scikit-learn 1.6 and later."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True  # after one epoch, the default
        return tags

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, **fit_arguments: Any
    ) -> Self:
        """Build a model and train it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Training data.
        y : array-like of shape (n_samples,) or (n_samples, n_classes)
            Labels of any type, or one-hot rows of 0 with a single 1.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.
        **fit_arguments : dict
            Arguments of ``Model.fit`` for this call, in preference to the
            estimator's parameters.

        Returns
        -------
        self : KerasClassifier
            This estimator, fitted.

        Raises
        ------
        ValueError
            If the data are unfit, or the labels do not fit the model's output.
        TypeError
            If ``model`` is not, or does not return, a Keras model.
        """
        X, y = _validate(self, X, y, allow_nd=True, multi_output=True)
        X = self._check_samples(X, reset=True)
        indexes = self._check_y(y)
        weight = self._check_weight(sample_weight, X)
        arguments = self._fit_arguments(fit_arguments)
        class_weight = arguments.pop("class_weight")
        if class_weight is not None:
            by_class = compute_sample_weight(class_weight, self.classes_[indexes])
            weight = by_class if weight is None else weight * by_class
        meta = {
            "n_outputs_": self.n_outputs_,
            "n_classes_": self.n_classes_,
            "classes_": self.classes_,
            "target_type_": self.target_type_,
        }

        def encode(keras: Any, model: Any, n_units: int) -> Array:
            return self._encode(*_loss(keras, model), indexes, n_units)

        self._train(X, encode, meta, weight, arguments)
        return self

    def predict_proba(self, X: Any) -> Array:
        """Predict the probability of each class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``. Each row sums to one.
        """
        raw = self._raw_predict(X).astype(np.float64)
        if self._logits and raw.shape[1] > 1 and not self._loss_name.startswith("bin"):
            return np.asarray(softmax(raw, axis=1))
        raw = expit(raw) if self._logits else np.clip(raw, 0, None)
        if raw.shape[1] == 1:
            raw = np.minimum(raw, 1)
            return np.hstack([1 - raw, raw])
        total = raw.sum(axis=1, keepdims=True)
        raw[total[:, 0] == 0] = 1  # nothing speaks for any class
        return np.asarray(raw / raw.sum(axis=1, keepdims=True))

    def predict(self, X: Any) -> Array:
        """Predict the most probable class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_classes)
            Labels as ``fit`` was given them; one-hot rows if it was given these.
        """
        indexes = self.predict_proba(X).argmax(axis=1)
        if self._one_hot_dtype is not None:
            rows = np.eye(self.n_classes_, dtype=self._one_hot_dtype)[indexes]
            return np.asarray(rows)
        return np.asarray(self.classes_[indexes])

    def _check_y(self, y: Any) -> Array:
        """Find the classes and each sample's place among them."""
        name = type(self).__name__
        check_classification_targets(y)
        if issparse(y):
            raise TypeError(f"{name} needs dense targets. Use y.toarray().")
        self.target_type_ = type_of_target(y)
        self.n_outputs_ = 1 if y.ndim == 1 else y.shape[1]
        self._one_hot_dtype = None
        if self.target_type_ in ("binary", "multiclass"):
            self.classes_, indexes = np.unique(
                column_or_1d(y, warn=True), return_inverse=True
            )
        elif (
            self.target_type_ == "multilabel-indicator"
            and np.logical_and(np.isin(y, (0, 1)).all(), y.sum(axis=1) == 1).all()
        ):
            self._one_hot_dtype = y.dtype
            self.classes_, indexes = np.arange(y.shape[1]), y.argmax(axis=1)
        else:
            raise ValueError(
                f"The targets of {name} must be labels, or one-hot rows with a single "
                f"1 in each. Got targets of type {self.target_type_!r} instead."
            )
        self.n_classes_ = len(self.classes_)
        if self.n_classes_ == 1:
            raise ValueError(
                f"{name} needs at least two classes in y. Got one class instead: "
                f"{self.classes_[0]!r}."
            )
        return np.asarray(indexes)

    def _encode(
        self, loss_name: str, logits: bool, indexes: Array, n_units: int
    ) -> Array:
        """Encode the classes as the loss and the model's output need them."""
        self._loss_name, self._logits = loss_name, logits
        n_classes = self.n_classes_
        if n_units == 1 and n_classes == 2 and "categorical" not in loss_name:
            return indexes.reshape(-1, 1).astype(np.float32)
        if n_units == 1 or n_units != n_classes:
            units = "1 output unit" if n_units == 1 else f"{n_units} output units"
            raise ValueError(
                f"The labels do not fit the model of {type(self).__name__}: y has "
                f"{n_classes} classes, and the model has {units} with the loss "
                f"{loss_name!r}. It needs one unit for each class (in the function "
                "that builds it: meta['n_classes_']), or for two classes a single "
                "sigmoid unit with the loss 'binary_crossentropy'."
            )
        if loss_name.startswith("sparse"):
            return indexes
        return np.eye(n_classes, dtype=np.float32)[indexes]


class KerasRegressor(RegressorMixin, _KerasEstimator):  # type: ignore[misc]
    """scikit-learn regressor around a function that builds a Keras model.

    Parameters
    ----------
    model : callable or keras.Model
        Function that returns a new compiled model, or a compiled model; see
        `KerasClassifier`. ``meta`` has ``n_features_in_``, ``X_shape_``,
        ``X_dtype_``, ``n_outputs_`` and ``target_type_``.
    epochs : int, default=1
        Number of passes over the training data.
    batch_size : int, default=None
        Number of samples in a batch, in ``fit`` and in ``predict``; None for
        Keras's 32.
    validation_split : float, default=0.0
        Fraction of the samples, the last ones, that Keras sets aside for
        ``val_loss``.
    callbacks : list of keras.callbacks.Callback or callable, default=None
        Callbacks for the training, copied for every fit, or a function that
        returns a list of them.
    shuffle : bool, default=True
        Whether to shuffle the samples before each epoch.
    verbose : int or str, default=0
        What Keras prints in ``fit`` and ``predict``. 0 for nothing.
    random_state : int, RandomState instance or None, default=None
        Seed for the model and its training; see `KerasClassifier`.
    **kwargs : dict
        ``model__*``, ``fit__*`` and ``predict__*``; see `KerasClassifier`.

    Attributes
    ----------
    n_outputs_ : int
        Number of targets, 1 for a 1-D ``y``.
    n_features_in_ : int
        Size of the second dimension of ``X``.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, where ``X`` has any.
    model_ : keras.Model
        The trained model.
    history_ : dict of list
        Loss and metrics, one value for each epoch.
    n_iter_ : int
        Number of epochs that were run.

    Examples
    --------
    >>> from resumable_search.keras import KerasRegressor
    >>> def build_model(meta, units=16):
    ...     import keras
    ...     model = keras.Sequential([
    ...         keras.layers.Dense(units, activation="relu"),
    ...         keras.layers.Dense(meta["n_outputs_"]),
    ...     ])
    ...     model.compile(loss="mse")
    ...     return model
    >>> regressor = KerasRegressor(build_model, epochs=10, model__units=32)
    >>> regressor.fit(X, y).predict(X)  # doctest: +SKIP
    """

    def __init__(
        self,
        model: Any,
        *,
        epochs: int = 1,
        batch_size: int | None = None,
        validation_split: float = 0.0,
        callbacks: Any = None,
        shuffle: bool = True,
        verbose: int | str = 0,
        random_state: Any = None,
        **kwargs: Any,
    ) -> None:
        self.model = model
        self.epochs = epochs
        self.batch_size = batch_size
        self.validation_split = validation_split
        self.callbacks = callbacks
        self.shuffle = shuffle
        self.verbose = verbose
        self.random_state = random_state
        self._assign_routed(kwargs)

    def _more_tags(self) -> dict[str, Any]:  # scikit-learn < 1.6
        return {**super()._more_tags(), "multioutput": True}

    def __sklearn_tags__(self) -> Any:
        """Get the tags of scikit-learn 1.6 and later."""
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True  # after one epoch, the default
        tags.target_tags.multi_output = True
        return tags

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, **fit_arguments: Any
    ) -> Self:
        """Build a model and train it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Training data.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.
        **fit_arguments : dict
            Arguments of ``Model.fit`` for this call, in preference to the
            estimator's parameters.

        Returns
        -------
        self : KerasRegressor
            This estimator, fitted.

        Raises
        ------
        ValueError
            If the data are unfit, or the targets do not fit the model's output.
        TypeError
            If ``model`` is not, or does not return, a Keras model.
        """
        X, y = _validate(self, X, y, allow_nd=True, multi_output=True, y_numeric=True)
        if issparse(y):
            raise TypeError(
                f"{type(self).__name__} needs dense targets. Use y.toarray()."
            )
        X = self._check_samples(X, reset=True)
        self.n_outputs_ = 1 if y.ndim == 1 else y.shape[1]
        self._y_ndim = y.ndim
        meta = {"n_outputs_": self.n_outputs_, "target_type_": type_of_target(y)}

        def encode(keras: Any, model: Any, n_units: int) -> Array:  # noqa: ARG001
            if n_units != self.n_outputs_:
                raise ValueError(
                    f"The targets do not fit the model of {type(self).__name__}: y has "
                    f"{self.n_outputs_} outputs, and the model has {n_units} output "
                    "units. In the function that builds it, the number of outputs is "
                    "meta['n_outputs_']."
                )
            return np.asarray(y.reshape(len(y), -1).astype(np.float32))

        weight = self._check_weight(sample_weight, X)
        self._train(X, encode, meta, weight, self._fit_arguments(fit_arguments))
        return self

    def predict(self, X: Any) -> Array:
        """Predict the targets.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Predictions, with as many dimensions as ``y`` had in ``fit``.
        """
        raw = self._raw_predict(X).astype(np.float64)
        return raw[:, 0] if self._y_ndim == 1 else raw
