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

from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassifierMixin, RegressorMixin

from resumable_search._keras.estimator import KerasEstimator
from resumable_search._keras.targets import ClassTargets, NumberTargets

__all__ = ["KerasClassifier", "KerasRegressor"]

Array = npt.NDArray[Any]


class KerasClassifier(ClassifierMixin, KerasEstimator):  # type: ignore[misc]
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
    inputs : dict or callable, default=None
        For a model of several inputs: how ``X`` is split, in ``fit`` and in
        ``predict``, after scikit-learn has split the samples. A dict of the names
        of the inputs and their columns in ``X``: a slice, a column or a list of
        columns, by number or by name (names need ``X`` to be a DataFrame). Or a
        function that is called with ``X`` as an array and returns a list or dict
        of arrays. None to give the model ``X`` as it is.
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
        the sample weights, also those of ``validation_split``. Not for
        multi-label targets.
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
        ``model__*``: parameters of the function. Optimizers, losses, metrics,
        layers and other Keras objects among them, also in lists and dicts, are
        copied for every fit, and never changed. ``fit__*``: any argument of
        ``Model.fit``, in preference to a parameter above.
        ``fit__validation_data`` is ``(X, y)`` or ``(X, y, sample_weight)``, of
        the same form as in ``fit``; the other steps of a pipeline do not
        transform it. ``predict__*``: any argument of ``Model.predict``.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,) or list of ndarray
        The labels; for one-hot targets the numbers of the columns; for
        multi-label targets ``array([0, 1])`` for each label, as in scikit-learn's
        forests.
    n_classes_ : int
        Number of classes; for multi-label targets the number of labels.
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

    Rows with several ones, or none, are multi-label targets: they need a model
    with one sigmoid unit for each label and the loss "binary_crossentropy".
    One-hot rows are classes, of which each sample has one, except with a binary
    cross-entropy over as many units that are not a softmax: then they are
    multi-label targets too, so that it does not depend on the fold.

    A class of your own that is given as an object in ``model__*`` needs a
    ``get_config`` with every argument of its constructor, as Keras asks for.

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
        inputs: Any = None,
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
        self.inputs = inputs
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
            Labels of any type, one-hot rows of 0 with a single 1, or rows with
            any number of ones (multi-label).
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
        targets = ClassTargets(type(self).__name__)
        self._train(X, y, sample_weight, fit_arguments, targets)
        self.target_type_ = targets.target_type
        self.n_classes_ = len(targets.classes)
        self.classes_: Any = targets.classes
        if targets.multilabel:
            self.classes_ = [np.array([0, 1]) for _ in targets.classes]
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
            In the order of ``classes_``, and each row sums to one. For
            multi-label targets the probability of each label, shape
            (n_samples, n_labels), and rows have no fixed sum.
        """
        raw = self._raw_predict(X)
        assert isinstance(self._targets, ClassTargets)
        return self._targets.probabilities(raw)

    def predict(self, X: Any) -> Array:
        """Predict the most probable class, or every label of probability > 0.5.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_classes)
            Labels as ``fit`` was given them; rows of 0 and 1 if it was given these.
        """
        probabilities = self.predict_proba(X)
        return self._targets.decode(probabilities)


class KerasRegressor(RegressorMixin, KerasEstimator):  # type: ignore[misc]
    """scikit-learn regressor around a function that builds a Keras model.

    Parameters
    ----------
    model : callable or keras.Model
        Function that returns a new compiled model, or a compiled model; see
        `KerasClassifier`. ``meta`` has ``n_features_in_``, ``X_shape_``,
        ``X_dtype_``, ``n_outputs_`` and ``target_type_``.
    inputs : dict or callable, default=None
        How ``X`` is split for a model of several inputs; see `KerasClassifier`.
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

    _y_options: ClassVar[dict[str, Any]] = {"multi_output": True, "y_numeric": True}

    def __init__(
        self,
        model: Any,
        *,
        inputs: Any = None,
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
        self.inputs = inputs
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
        targets = NumberTargets(type(self).__name__)
        self._train(X, y, sample_weight, fit_arguments, targets)
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
        raw = self._raw_predict(X)
        return self._targets.decode(raw)
