"""What a scorer of scikit-learn computes, whatever the version calls its parts."""

from typing import Any

from sklearn.metrics._scorer import _BaseScorer

from .estimators import metadata_request

#: Name of the class that scikit-learn's own scorers derive from.
SCORER = _BaseScorer.__name__

# What `scorer_parts` returns by name, and what scikit-learn 1.6 to 1.8 keep.
_KNOWN = {
    "_score_func",
    "_sign",
    "_kwargs",
    "_response_method",
    "_metadata_request",
    "_deprecation_msg",
}


def scorer_parts(scorer: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what a scorer scores with, and the attributes that it has beside.

    The response methods are a tuple, as scikit-learn tries one after the other.
    """
    attributes = dict(vars(scorer))
    response = attributes.get("_response_method") or "predict"
    parts = {
        "function": attributes.get("_score_func"),
        "sign": attributes.get("_sign"),
        "arguments": attributes.get("_kwargs") or {},
        "response": (response,) if isinstance(response, str) else tuple(response),
        "requests": metadata_request(scorer),
    }
    return parts, {k: v for k, v in attributes.items() if k not in _KNOWN}
