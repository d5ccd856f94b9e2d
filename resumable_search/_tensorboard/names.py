"""Names of directories, which are the names of runs in TensorBoard.

They say what a run is, and stay what they are when a grid grows: a candidate's number
would change, its parameters do not.
"""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from .._keys.summaries import summarize

_KEY_LENGTH = 6
_LONGEST = 80


def search_name(estimator: object, key: str) -> str:
    """Name what all candidates share: the estimator, the data and the splits."""
    return f"{_clean(type(estimator).__name__)}-{key[:8]}"


def candidate_name(parameters: Mapping[str, Any], key: str) -> str:
    """Name a candidate by its parameters, with as much of its key as makes it unique.

    ``model__units`` is ``units`` where no other parameter ends in that. Between the
    parameters stands a hyphen, after which TensorBoard's list can break the line.
    """
    endings = Counter(name.rpartition("__")[2] for name in parameters)
    words = []
    for name, value in parameters.items():
        ending = name.rpartition("__")[2]
        short = ending if endings[ending] == 1 else name
        words.append(f"{short}={value if type(value) is str else summarize(value)}")
    text = _clean("-".join(words))[:_LONGEST]
    return f"{text or 'candidate'}-{key[:_KEY_LENGTH]}"


def split_name(split: int) -> str:
    """Name a split as ``cv_results_`` does."""
    return f"split{split}"


def _clean(text: str) -> str:
    """Leave what needs no quotes in a shell and means nothing in a path."""
    return re.sub(r"[^A-Za-z0-9_.,=+-]+", "_", text).lstrip(".-_")
