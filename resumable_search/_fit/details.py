"""What is recorded of a search to say later what has changed. No key depends on it."""

from collections.abc import Iterator
from typing import Any

from .._keys.digests import digest
from .._keys.outline import outline, same_items, sample
from .._sklearn_compat.calls import FoldCall
from .._sklearn_compat.estimators import scorers_by_name

__all__ = ["details_of"]


def details_of(call: FoldCall) -> dict[str, dict[str, tuple[str, str]]]:
    """Return part -> path -> (key, text).

    The parts are ``"code"``, what functions and classes of the search reach;
    ``"sample"``, some of the data; ``"same items"``, the items of lists in any order.
    """
    parameters = call.estimator.get_params(deep=True)
    items = {name: same_items(value) for name, value in parameters.items()}
    samples = {"X": sample(call.X), "y": sample(call.y)}
    return {
        "code": outline(dict(_with_code(call, parameters))),
        "sample": {n: (digest(text), text) for n, text in samples.items() if text},
        "same items": {name: (key, "") for name, key in items.items() if key},
    }


def _with_code(
    call: FoldCall, parameters: dict[str, Any]
) -> Iterator[tuple[str, object]]:
    yield "estimator class", type(call.estimator)
    for name, value in parameters.items():
        if hasattr(value, "get_params") and not isinstance(value, type):
            yield f"class of {name}", type(value)
        elif callable(value):
            yield name, value
    for name, scorer in scorers_by_name(call.shared["scorer"])[0].items():
        yield f"scoring[{name!r}]", scorer
    for name, value in (call.shared.get("fit_params") or {}).items():
        if callable(value):
            yield name, value
