"""Keys of candidates: of the estimator with the parameters that a fold gives it.

What is the same estimator in the end is the same candidate, whether a value was set
on the estimator, stands in the grid, or is the default.
"""

import contextlib
from typing import Any

from .._exceptions import FingerprintError
from .._sklearn_compat.estimators import with_parameters
from .encoding import ATOMS
from .fingerprint import Keyed, encoded, keyed
from .walk import KnownParts

__all__ = ["CandidateKeys"]


class CandidateKeys:
    """Keys of an estimator with one candidate's parameters after the other's.

    Values and classes that candidates share are walked once.

    Parameters
    ----------
    estimator : estimator
        The search's.
    """

    def __init__(self, estimator: Any) -> None:
        self._estimator = estimator
        self._known: KnownParts = {}
        self._note_cloned(estimator)

    def of(self, parameters: dict[str, Any]) -> Keyed:
        """Return the key of the estimator after ``set_params(**parameters)``."""
        self._note_cloned(parameters)
        try:
            candidate = with_parameters(self._estimator, parameters)
        except Exception:
            # The fold raises it too, where scikit-learn says what is to become of it.
            candidate = self._estimator, parameters
        return keyed(candidate, "estimator", cloned=True, known=self._known)

    def _note_cloned(self, value: Any) -> None:
        """Walk what `sklearn.base.clone` hands on as it is."""
        kind = type(value)
        if id(kind) in ATOMS:
            return
        if kind is dict:
            for item in value.values():
                self._note_cloned(item)
        elif kind in (list, tuple, set, frozenset):
            for item in value:
                self._note_cloned(item)
        elif hasattr(value, "get_params") and not isinstance(value, type):
            self._note(kind)
            self._note_cloned(value.get_params(deep=False))
        else:
            self._note(value)

    def _note(self, value: object) -> None:
        if id(value) in self._known:
            return
        # It is raised again for the candidate, with the way to the value.
        with contextlib.suppress(FingerprintError):
            self._known[id(value)] = value, *encoded(value)
