"""Keys of objects of CatBoost, LightGBM and XGBoost that are no estimators to clone.

What each of them writes for pickle has more than what it computes with, or less.
"""

import json
from typing import Any

import numpy as np

from .encoding import encode_bytes, node
from .relevance import counted
from .walk import Handler, Unkeyable, Walk

# CatBoost


def encode_catboost(walk: Walk, value: Any) -> bytes:
    """Key a model of CatBoost by its parameters and by what it has learned."""
    state = dict(value.__getstate__())
    learned = state.pop("__model", None)
    parts = [walk.encode(type(value)), *walk.attributes(counted(type(value), state))]
    if learned is not None:
        parts.append(encode_bytes(_without_noise(value, learned)))
    return node(b"catboost", parts)


# An id that is drawn for each model, the time, where files went; the version and the
# parameters count by themselves.
_METADATA_NOISE = "model_guid train_finish_time catboost_version_info output_options"
_PARAMETER_NOISE = "system_options flat_params logging_level detailed_profile"


def _without_noise(value: Any, learned: bytes) -> bytes:
    """Return what a model has learned as bytes, without what is new in each run."""
    base = next(cls for cls in type(value).__mro__ if cls.__name__ == "CatBoost")
    model = base()
    model._load_from_string(learned)
    metadata = model.get_metadata()
    present = set(metadata.keys())
    for name in _METADATA_NOISE.split():
        if name in present:
            metadata[name] = ""
    if "params" in present:
        parameters = json.loads(metadata["params"])
        for name in _PARAMETER_NOISE.split():
            parameters.pop(name, None)
        metadata["params"] = json.dumps(parameters, sort_keys=True)
    serialized: bytes = model._serialize_model()
    return serialized


def encode_pool(walk: Walk, value: Any) -> bytes:
    """Key a data set of CatBoost by its features, labels, weights and names."""
    if walk.n_numbered():  # code may train with it, and there the times count
        raise Unkeyable(
            value,
            "a Pool that code holds cannot be sent to a worker, because CatBoost does "
            "not give back its time stamps; hold the arrays, and make the Pool in the "
            "function that uses it",
        )
    parts = pool_arguments(value)
    if parts is None:
        raise Unkeyable(
            value,
            "CatBoost does not give back all that is in a Pool with categories, text, "
            "embeddings, groups or pairs, or that is quantized; pass the data as a "
            "tuple (X, y)",
        )
    return node(b"pool", [walk.encode(part) for part in parts.values()])


# Methods that tell of what else is in a Pool.
_NOT_GIVEN_BACK = (
    "get_cat_feature_indices",
    "get_text_feature_indices",
    "get_embedding_feature_indices",
    "get_group_id_hash",
    "num_pairs",
)


def pool_arguments(pool: Any) -> dict[str, Any] | None:
    """Return what makes a data set of CatBoost again, as it is for an evaluation.

    Returns
    -------
    arguments : dict or None
        For ``Pool``. None if CatBoost does not give back all of it. Time stamps are
        left out: only a training in their order uses them.
    """
    if pool.is_quantized() or any(_has(pool, name) for name in _NOT_GIVEN_BACK):
        return None
    weights, baseline = np.asarray(pool.get_weight()), np.asarray(pool.get_baseline())
    names = [str(name) for name in pool.get_feature_names() or ()]
    return {
        "data": np.asarray(pool.get_features()),
        "label": pool.get_label() if pool.has_label() else None,
        "weight": None if np.all(weights == 1) else weights,
        "baseline": baseline if baseline.size else None,
        "feature_names": names if any(names) else None,
    }


def _has(pool: Any, name: str) -> bool:
    """Return whether a method gives something; the index of a feature may be 0."""
    given = getattr(pool, name, int)()
    return bool(given) if isinstance(given, int | None) else bool(np.size(given))


# LightGBM

# What a training leaves in callbacks: all but what they are made with.
_LIGHTGBM_KEPT = {
    "_EarlyStoppingCallback": "stopping_rounds first_metric_only verbose min_delta",
    "_LogEvaluationCallback": "period show_stdv",
    "_ResetParameterCallback": "kwargs",
    "_RecordEvaluationCallback": "",
}


def encode_lightgbm_callback(walk: Walk, value: Any) -> bytes:
    """Key a callback of LightGBM by what it is made with.

    A training begins with a new state. XGBoost's callbacks go on with theirs, so that
    it counts.
    """
    kept = _LIGHTGBM_KEPT[type(value).__name__].split()
    state = {name: vars(value)[name] for name in kept if name in vars(value)}
    return node(b"callback", [walk.encode(type(value)), *walk.attributes(state)])


# XGBoost


def encode_matrix(_walk: Walk, value: Any) -> bytes:
    """Refuse a data set of XGBoost, which is no data of Python's."""
    raise Unkeyable(
        value,
        "its data is in the memory of XGBoost and cannot be sent to a worker; hold the "
        "arrays, and make the matrix in the function that uses it (an eval_set takes "
        "arrays too)",
    )


#: By the name of a class's package, of a class that it derives from, and the handler.
BOOSTING_BY_NAME: list[tuple[str, str, Handler]] = [
    ("catboost", "CatBoost", encode_catboost),
    ("catboost", "Pool", encode_pool),
    *(("lightgbm", name, encode_lightgbm_callback) for name in _LIGHTGBM_KEPT),
    ("xgboost", "DMatrix", encode_matrix),
]
