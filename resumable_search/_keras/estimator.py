"""What the Keras classifier and the Keras regressor share.

::

    fit      validate X, y -> targets.learn(y) -> build the model -> targets.settle
             -> make its inputs -> targets.encode(y) -> Model.fit
    predict  validate X -> make the inputs -> Model.predict -> targets.decode

The parameters, their routing, cloning and pickling are here; what becomes of the
targets is in ``_keras_targets``, what one fit has for itself in ``_keras_values``,
and how ``X`` is split into several inputs in ``_keras_inputs``.
"""

import inspect
import numbers
import pathlib
import tempfile
from collections.abc import Callable
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, clone
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils.validation import check_is_fitted

from .._sklearn_compat.estimators import validate_data
from .copies import check_copy, check_predictions
from .inputs import first_sample, make_inputs
from .targets import (
    ClassTargets,
    NumberTargets,
    describe_output,
)
from .values import (
    clone_model,
    fresh_callbacks,
    fresh_values,
    holds_keras,
    import_keras,
    is_model,
    map_keras,
    seeded,
    without_optimizer_state,
)

__all__ = ["KerasEstimator"]

# Parameters with these prefixes need not be declared: they are passed on.
_PREFIXES = ("model__", "fit__", "predict__")

Array = npt.NDArray[Any]


def _unboxed(arguments: dict[str, Any]) -> dict[str, Any]:
    """Replace NumPy's scalars, which a search over ``numpy.arange`` sets."""
    return {
        k: v.item() if isinstance(v, np.generic) else v for k, v in arguments.items()
    }


class KerasEstimator(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """What the classifier and the regressor share."""

    model: Any
    inputs: Any
    model_: Any
    X_shape_: tuple[int, ...]
    n_features_in_: int
    _targets: ClassTargets | NumberTargets

    # Options of scikit-learn's validation of X and y together.
    _y_options: ClassVar[dict[str, Any]] = {"multi_output": True}

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
        """Clone; Keras objects among the parameters are shared, fits copy them.

        scikit-learn would copy them deeply: through a file, with a warning if an
        optimizer has been used or a model's has not been, and not all of them.
        """
        parameters = self.get_params(deep=False)
        held = {name: v for name, v in parameters.items() if holds_keras(v)}
        if not held:
            return super().__sklearn_clone__()
        bare = type(self).__new__(type(self))
        bare.__dict__.update(vars(self), **dict.fromkeys(held))
        cloned = super(KerasEstimator, bare).__sklearn_clone__()
        for name, value in held.items():
            shared = map_keras(value, lambda v: v, lambda v: clone(v, safe=False))
            setattr(cloned, name, shared)
        return cloned

    def __getstate__(self) -> dict[str, Any]:
        """Replace the fitted model by the bytes of its ``.keras`` file."""
        state = dict(super().__getstate__())
        state.update(
            (name, without_optimizer_state(value))
            for name, value in self.get_params(deep=False).items()
            if holds_keras(value)
        )
        given = self.model
        if (
            is_model(given)
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
                state["model_"] = import_keras().saving.load_model(
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
        """Get the parameters with this prefix, without it."""
        return {
            name.removeprefix(prefix): value
            for name, value in vars(self).items()
            if name.startswith(prefix)
        }

    def _fit_arguments(self, overrides: dict[str, Any]) -> dict[str, Any]:
        """Gather what ``Model.fit`` is called with, the data aside."""
        names = set(type(self)._get_param_names()) - {"model", "inputs", "random_state"}
        arguments: dict[str, Any] = {name: getattr(self, name) for name in names}
        arguments.update(_unboxed(self._routed("fit__")), **overrides)
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
        arguments["callbacks"] = fresh_callbacks(arguments["callbacks"])
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

    def _inputs_of(self, X: Array) -> Any:
        """Make what the model takes of validated data."""
        names = getattr(self, "feature_names_in_", None)
        return make_inputs(self.inputs, X, names, type(self).__name__)

    def _call_function(
        self, keras: Any, function: Callable[..., Any], meta: dict[str, Any]
    ) -> Any:
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
        return function(**fresh_values(keras, arguments))

    def _build(self, keras: Any, sample: Any, meta: dict[str, Any]) -> tuple[Any, int]:
        """Get a compiled model for one fit, and its number of output units."""
        name = type(self).__name__
        if isinstance(self.model, keras.Model):
            if unused := sorted(self._routed("model__")):
                raise ValueError(
                    f"Invalid parameter {'model__' + unused[0]!r} for estimator "
                    f"{name}: its 'model' parameter is a Keras model and not a "
                    "function, and takes no parameters."
                )
            model, source = clone_model(keras, self.model), "the given model"
            check_copy(self.model, model)
            check_predictions(self.model, model, sample)
        elif callable(self.model):
            model = self._call_function(keras, self.model, meta)
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
            model(sample)
        shape = getattr(model, "output_shape", None) if model.built else None
        if not isinstance(shape, tuple) or any(isinstance(s, tuple) for s in shape):
            shape = getattr(model(sample), "shape", None)
        if shape is None or len(shape) > 2:
            raise ValueError(
                f"{name} needs a model with one output of shape (n_samples, n_units), "
                f"and {source} has the output {shape or 'structure of several arrays'}."
            )
        return model, int(shape[1]) if len(shape) == 2 else 1

    def _train(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        overrides: dict[str, Any],
        targets: ClassTargets | NumberTargets,
    ) -> None:
        """Learn the targets, build a model and train it."""
        X, y = validate_data(self, X, y, allow_nd=True, **self._y_options)
        X = self._check_samples(X, reset=True)
        targets.learn(y)
        self._targets = targets
        self.n_outputs_ = targets.n_outputs
        weight = self._check_weight(sample_weight, X)
        if weight is not None and not weight.any():
            raise ValueError(
                "Sample weights must contain at least one non-zero number."
            )
        arguments = self._fit_arguments(overrides)
        inputs = self._inputs_of(X)
        keras = import_keras()
        with seeded(keras, self.random_state):
            model, n_units = self._build(keras, first_sample(inputs), self._meta())
            targets.settle(describe_output(keras, model, n_units))
            if isinstance(targets, ClassTargets):
                by_class = targets.weights(y, arguments.pop("class_weight"))
                if by_class is not None:
                    weight = by_class if weight is None else weight * by_class
            if arguments.get("validation_data") is not None:
                arguments["validation_data"] = self._check_validation_data(
                    arguments["validation_data"]
                )
            history = model.fit(
                inputs, targets.encode(y), sample_weight=weight, **arguments
            )
        self.model_ = model
        self.history_ = history.history
        self.n_iter_ = len(history.epoch)

    def _meta(self) -> dict[str, Any]:
        """Gather what the function that builds the model may know."""
        meta = {
            "n_features_in_": self.n_features_in_,
            "X_shape_": self.X_shape_,
            "X_dtype_": self.X_dtype_,
            "n_outputs_": self._targets.n_outputs,
            "target_type_": self._targets.target_type,
        }
        if isinstance(self._targets, ClassTargets):
            meta["n_classes_"] = len(self._targets.classes)
            meta["classes_"] = self._targets.classes
        return meta

    def _check_validation_data(self, data: Any) -> Any:
        """Validate and encode like the training data what is not a data set."""
        if not isinstance(data, list | tuple) or len(data) not in (2, 3):
            return data  # such as a tf.data.Dataset, for Keras to judge
        X, y = validate_data(
            self, *data[:2], reset=False, allow_nd=True, **self._y_options
        )
        X = self._check_samples(X, reset=False)
        weights = [self._check_weight(weight, X) for weight in data[2:]]
        return (self._inputs_of(X), self._targets.encode(y), *weights)

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
        X = validate_data(self, X, reset=False, allow_nd=True)
        X = self._check_samples(X, reset=False)
        batch_size = None if self.batch_size is None else int(self.batch_size)
        arguments = {"batch_size": batch_size, "verbose": self.verbose}
        arguments.update(_unboxed(self._routed("predict__")))
        raw = np.asarray(self.model_.predict(self._inputs_of(X), **arguments))
        return raw.reshape(len(raw), -1)
