"""Refuse estimators of other Keras wrappers where they would silently mislead.

======================  ============================  ================================
estimator               what is wrong                 what would happen without a word
======================  ============================  ================================
``keras.wrappers.*``    ``clone`` drops the           each fold trains one epoch,
with ``fit_kwargs``     ``fit_kwargs``                whatever the number asked for
SciKeras classifier,    scikit-learn >= 1.7 does not  ``KFold`` instead of
``cv`` an int or None   take it for a classifier      ``StratifiedKFold``
======================  ============================  ================================

Both are looked for in the installed versions, so that one that is mended passes.
The wrappers are known by the modules of their classes: nothing is imported.
"""

import copy
import numbers
from collections.abc import Iterator
from typing import Any

from sklearn.base import clone, is_classifier, is_regressor

__all__ = ["check_estimator"]


def check_estimator(estimator: object, cv: object = None) -> None:
    """Refuse an estimator that the search could only train or split wrongly.

    Parameters
    ----------
    estimator : estimator object
        The estimator of the search, which may contain the wrapper at any depth: in
        a pipeline, in a meta-estimator.
    cv : int, cross-validation generator, iterable or None, default=None
        The parameter of the search.

    Raises
    ------
    TypeError
        If it is or contains a ``keras.wrappers`` estimator whose ``fit_kwargs`` are
        lost when it is cloned; or a SciKeras classifier that scikit-learn does not
        take for one, where ``cv`` leaves it to scikit-learn to stratify.
    """
    for part in _parts(estimator):
        if _derives_from(part, "keras.src.wrappers", "keras.wrappers"):
            _check_keras_wrapper(part)
        elif _derives_from(part, "scikeras", name="KerasClassifier"):
            _check_scikeras_classifier(part, estimator, cv)


def _parts(estimator: object) -> Iterator[Any]:
    """Find the estimators in an estimator, itself included, each one once."""
    stack, seen = [estimator], set()
    while stack:
        value = stack.pop()
        if id(value) in seen or isinstance(value, type):
            continue
        seen.add(id(value))
        if isinstance(value, list | tuple):
            stack += reversed(value)
        elif isinstance(value, dict):
            stack += reversed(value.values())
        elif hasattr(value, "get_params"):
            yield value
            stack += reversed(value.get_params(deep=True).values())


def _derives_from(value: object, *packages: str, name: str | None = None) -> bool:
    """Return whether a class of its type's has the name and is from a package."""
    return any(
        f"{base.__module__}.".startswith(tuple(f"{package}." for package in packages))
        and name in (None, base.__name__)
        for base in type(value).__mro__
    )


def _no_model(**_: object) -> None:
    """Stand in for a model that need not be cloned."""


def _loses_fit_kwargs(wrapper: Any) -> bool:
    """Clone the wrapper without its model, and see whether ``fit_kwargs`` is lost."""
    probe = copy.copy(wrapper)
    probe.model = _no_model
    probe.fit_kwargs = {"epochs": 2}
    try:
        return bool(clone(probe).fit_kwargs != {"epochs": 2})
    except Exception:  # the search will clone it and raise what there is to raise
        return False


def _check_keras_wrapper(wrapper: Any) -> None:
    fit_kwargs = getattr(wrapper, "fit_kwargs", None)
    if not fit_kwargs or not _loses_fit_kwargs(wrapper):
        return
    name = type(wrapper).__name__
    ours = "KerasRegressor" if is_regressor(wrapper) else "KerasClassifier"
    if "epochs" in fit_kwargs:
        given, likely = f"epochs={fit_kwargs['epochs']!r}", "train a single epoch"
    else:
        given, likely = "epochs=...", "train with Keras's defaults"
    raise TypeError(
        f"The 'fit_kwargs' parameter of {name} must be empty in a search. Got "
        f"{fit_kwargs!r} instead. The installed Keras drops it when scikit-learn "
        f"clones the estimator, so every fold would {likely} without a warning. "
        f"Use resumable_search.keras.{ours}(model, {given}), or leave fit_kwargs out "
        "and pass its arguments to the fit method of the search."
    )


def _check_scikeras_classifier(wrapper: Any, estimator: Any, cv: object) -> None:
    if not (cv is None or isinstance(cv, numbers.Integral)) or is_classifier(wrapper):
        return
    if is_classifier(estimator) or is_regressor(estimator):
        return  # a meta-estimator's type decides, and it has one
    n_splits = 5 if cv is None else cv
    raise TypeError(
        f"The 'cv' parameter of a search over a SciKeras {type(wrapper).__name__} must "
        f"be a splitter. Got {cv!r} instead. The installed scikit-learn does not take "
        "the SciKeras estimator for a classifier, so the folds would not be "
        f"stratified. Pass cv=StratifiedKFold({n_splits}), or use "
        "resumable_search.keras.KerasClassifier."
    )
