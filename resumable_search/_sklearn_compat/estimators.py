"""Estimators and scorers: what scikit-learn keeps in them, and has them checked by."""

from typing import Any

import sklearn
from sklearn.base import BaseEstimator, clone
from sklearn.metrics._scorer import _MultimetricScorer, _PassthroughScorer
from sklearn.utils import validation

#: Settings of scikit-learn under which the same fold may get another score.
_SCORE_SETTINGS = {
    "array_api_dispatch": False,
    "assume_finite": False,
    "enable_cython_pairwise_dist": True,
    "enable_metadata_routing": False,
    "skip_parameter_validation": False,
    "sparse_interface": "spmatrix",
    "transform_output": "default",
}

#: Attributes of an estimator that a clone keeps, beside its parameters.
KEPT_BY_CLONE = ("_metadata_request", "_sklearn_output_config")

#: Name of the class of the scorer that stands for the estimator's own ``score``.
PASSTHROUGH = _PassthroughScorer.__name__


def metadata_request(value: object) -> Any:
    """Return the metadata request that was set on an estimator or a scorer."""
    return vars(value).get("_metadata_request")


def requests_of(request: object) -> dict[str, dict[str, Any]]:
    """Return what a metadata request asks for: by method, then by parameter."""
    return {
        name: getattr(method, "_requests", None) or {}
        for name, method in vars(request).items()
        if name != "owner"
    }


def validate_data(estimator: Any, *data: Any, **options: Any) -> Any:
    """Call scikit-learn's ``validate_data`` (until 1.5: a private method)."""
    if hasattr(validation, "validate_data"):  # scikit-learn >= 1.6
        return validation.validate_data(estimator, *data, **options)
    return estimator._validate_data(*data, **options)


def scorers_by_name(scorer: Any) -> tuple[dict[str, Any], bool]:
    """Return the scorers of a search by name, and whether it is multimetric.

    A single scorer has the name ``"score"``, as in ``cv_results_``.
    """
    if isinstance(scorer, _MultimetricScorer):
        return dict(scorer._scorers), True
    if isinstance(scorer, dict):  # scikit-learn 1.4
        return dict(scorer), True
    return {"score": scorer}, False


def is_estimator_score(scorer: Any) -> bool:
    """Return whether a scorer is the estimator's own ``score`` method."""
    return isinstance(scorer, _PassthroughScorer)


def score_settings() -> dict[str, Any]:
    """Return the scikit-learn settings that are not at their default and matter."""
    config = sklearn.get_config()
    return {
        name: config[name]
        for name, default in _SCORE_SETTINGS.items()
        if config.get(name, default) != default
    }


def with_parameters(estimator: Any, parameters: dict[str, Any]) -> Any:
    """Return the estimator that a fold of this candidate fits, to look at.

    Like ``clone(estimator).set_params(**parameters)``, but what the parameters hold
    is shared with the original and not copied, where that cannot be noticed.
    """
    return _sharing_clone(estimator).set_params(**_sharing_clone(parameters))


def _sharing_clone(value: Any) -> Any:
    """Clone estimators, as far as `sklearn.base.clone` would, and nothing else."""
    kind = type(value)
    if kind is dict:
        return {key: _sharing_clone(item) for key, item in value.items()}
    if kind in (list, tuple, set, frozenset):
        return kind([_sharing_clone(item) for item in value])
    if isinstance(value, type) or not hasattr(value, "get_params"):
        return value
    if not (_is_cloned_by_parameters(kind) and _sets_as_sklearn_does(kind)):
        return clone(value)
    parameters = value.get_params(deep=False)
    copied = kind(**{name: _sharing_clone(item) for name, item in parameters.items()})
    for name in KEPT_BY_CLONE:
        if name in vars(value):
            setattr(copied, name, vars(value)[name])
    return copied


def _is_cloned_by_parameters(cls: type) -> bool:
    """Return whether a class has no way of its own to be cloned."""
    usual = getattr(BaseEstimator, "__sklearn_clone__", None)
    return getattr(cls, "__sklearn_clone__", usual) is usual


def _sets_as_sklearn_does(cls: type) -> bool:
    """Return whether setting parameters changes nothing that a parameter holds."""
    module = getattr(getattr(cls, "set_params", None), "__module__", None)
    return str(module).partition(".")[0] == "sklearn"
