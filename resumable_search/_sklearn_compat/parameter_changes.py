"""Parameters that scikit-learn has added or renamed without a change of meaning.

An estimator is the same before and after an upgrade that added a parameter whose
default does what was done before. Only those are here that many searches have.
"""

from collections.abc import Mapping
from typing import Any

_NO_PENALTY = (None, 0)

# By class and parameter, the values that do what scikit-learn does in all versions
# from 1.4 on where the parameter is not set, or does not exist.
_USUAL: dict[tuple[str, str], tuple[Any, ...]] = {
    ("ColumnTransformer", "force_int_remainder_cols"): (True, "deprecated"),
    ("FeatureUnion", "verbose_feature_names_out"): (True,),
    ("LinearRegression", "tol"): (1e-6,),
    ("LogisticRegression", "l1_ratio"): _NO_PENALTY,
    ("LogisticRegression", "multi_class"): ("auto", "deprecated"),
    ("LogisticRegression", "penalty"): ("l2", "deprecated"),
    ("MLPRegressor", "loss"): ("squared_error",),
    ("MaxAbsScaler", "clip"): (False,),
    ("NuSVC", "probability"): (False, "deprecated"),
    ("Pipeline", "transform_input"): (None,),
    ("SVC", "probability"): (False, "deprecated"),
}


def without_usual(estimator: Any, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out parameters that do what they do where they are not set."""
    cls = type(estimator)
    if not cls.__module__.startswith("sklearn."):
        return dict(parameters)
    usual = {
        name
        for name, value in parameters.items()
        if _is_one_of(value, _USUAL.get((cls.__name__, name), ()))
    }
    if cls.__name__ == "LogisticRegression" and not {"penalty", "l1_ratio"} <= usual:
        usual -= {"penalty", "l1_ratio"}  # each says what the other means
    return {k: v for k, v in parameters.items() if k not in usual}


def _is_one_of(value: object, usual: tuple[Any, ...]) -> bool:
    kinds = (bool, int, float, str, type(None))
    return type(value) in kinds and any(
        value == one and isinstance(value, bool) == isinstance(one, bool)
        for one in usual
    )
