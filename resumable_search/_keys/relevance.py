"""What of a library's objects counts: not the parameters that no score depends on.

Each library says in its documentation that some parameters only decide how fast a fit
runs, what it prints or where it keeps its temporary files. They count neither where an
estimator is cloned nor where its whole state counts. The tables hold for the library's
own classes. A subclass of the user's has them as long as it inherits ``__init__`` and
its methods do not mention the parameter.
"""

import functools
import types
from collections.abc import Iterator
from typing import Any

from .class_tables import ClassTable
from .library_code import is_library, package_of
from .python import Keywords

#: Parameters that no score depends on, by the package of the estimator.
IRRELEVANT: dict[str, frozenset[str]] = {
    "sklearn": frozenset(
        {"memory", "n_jobs", "pre_dispatch", "verbose", "verbose_interval"}
    ),
    "imblearn": frozenset({"memory", "n_jobs", "verbose"}),
    # The number of threads may change the last bits of what these learn. So it may
    # between two runs with the same number: they promise no more.
    "xgboost": frozenset({"n_jobs", "nthread", "silent", "verbosity"}),
    "lightgbm": frozenset(
        {
            "n_jobs",
            "nthread",
            "nthreads",
            "num_thread",
            "num_threads",
            "silent",
            "verbose",
            "verbosity",
        }
    ),
    "catboost": frozenset(
        {
            "allow_writing_files",
            "logging_level",
            "silent",
            "thread_count",
            "train_dir",
            "verbose",
            "verbose_eval",
        }
    ),
    "skorch": frozenset({"verbose"}),
    "scikeras": frozenset({"verbose"}),
    "resumable_search": frozenset(
        {"checkpoint", "n_jobs", "pre_dispatch", "tensorboard", "verbose"}
    ),
}

#: Attributes with keyword arguments, grids and the like, whose order has no meaning.
_KEYWORDS: dict[str, frozenset[str]] = {
    "sklearn": frozenset(
        {
            "_kwargs",
            "cv_results_",
            "class_weight",
            "inv_kw_args",
            "kernel_params",
            "kw_args",
            "metric_params",
            "param_distributions",
            "param_grid",
            "transformer_weights",
        }
    ),
    "resumable_search": frozenset({"cv_results_", "param_distributions", "param_grid"}),
    "lightgbm": frozenset({"_other_params"}),
    "xgboost": frozenset({"kwargs"}),
    "catboost": frozenset({"_init_params"}),
}

_GRIDS = frozenset({"param_distributions", "param_grid"})

#: What a fit or a later use leaves behind and no prediction depends on: caches, times,
#: numbers that a process gives to its objects.
_NOISE: dict[str, frozenset[str]] = {
    "sklearn": frozenset(
        {
            "_cached_dict",
            "_n_threads",
            "_sklearn_version",
            "_stop_words_id",
            "n_threads",
            "refit_time_",
        }
    ),
    "resumable_search": frozenset({"_resumption"}),
}

_registered: ClassTable[frozenset[str]] = ClassTable()
_known: ClassTable[tuple[frozenset[str], frozenset[str]]] = ClassTable()


def register_irrelevant(cls: type, *names: str) -> None:
    """Say that no score depends on some parameters of an estimator.

    They do not count when finished folds are reused: a search with other values of
    theirs takes the scores that are there. Those of scikit-learn, XGBoost, LightGBM
    and CatBoost, such as ``n_jobs`` and ``verbose``, are known.

    Parameters
    ----------
    cls : type
        The estimator's class. Its subclasses are included.
    *names : str
        Names of parameters, or of attributes that a fit leaves behind.

    Raises
    ------
    TypeError
        If `cls` is no class, or a name is no text.

    Examples
    --------
    >>> from sklearn.base import BaseEstimator
    >>> from resumable_search import register_irrelevant
    >>> class Embedder(BaseEstimator):
    ...     def __init__(self, size=64, cache_folder=None):
    ...         self.size, self.cache_folder = size, cache_folder
    >>> register_irrelevant(Embedder, "cache_folder")
    """
    if not isinstance(cls, type):
        raise TypeError(
            "The 'cls' parameter of register_irrelevant must be a class. "
            f"Got {cls!r} instead."
        )
    for name in names:
        if not isinstance(name, str):
            raise TypeError(
                "The names that register_irrelevant takes must be text, such as "
                f"'n_jobs'. Got {name!r} instead."
            )
    _registered.put(cls, (_registered.get(cls) or frozenset()) | set(names))
    _known.clear()


def counted(cls: type, values: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters or attributes of an object of a class that count.

    Those whose order has no meaning are marked as such.
    """
    dropped, keywords = _policy(cls)
    if not (dropped or keywords):
        return values
    return {
        name: _meaning(name, value, dropped) if name in keywords else value
        for name, value in values.items()
        if name not in dropped
    }


def _meaning(name: str, value: Any, dropped: frozenset[str]) -> Any:
    if name == "cv_results_":
        return {k: v for k, v in value.items() if not k.endswith("_time")}
    if name in _GRIDS:
        return unordered_grid(value)
    return _without_order(value, dropped)


class Drawn:
    """A distribution that a search draws from with a generator of its own."""

    def __init__(self, distribution: Any) -> None:
        self.distribution = distribution


def unordered_grid(value: object) -> object:
    """Return a parameter grid, or several, as what counts of it."""
    if isinstance(value, list):
        return [unordered_grid(item) for item in value]
    if type(value) is dict:
        return Keywords({name: _drawn(item) for name, item in value.items()})
    return value


def _drawn(value: object) -> object:
    names = {(package_of(base), base.__name__) for base in type(value).__mro__}
    return Drawn(value) if ("scipy", "rv_frozen") in names else value


def _without_order(value: Any, dropped: frozenset[str]) -> Any:
    if type(value) is dict:
        return Keywords({k: v for k, v in value.items() if k not in dropped})
    if type(value) is list:
        return [_without_order(item, dropped) for item in value]
    return value


def _policy(cls: type) -> tuple[frozenset[str], frozenset[str]]:
    return _known.get(cls) or _known.put(cls, _find_policy(cls))


def _find_policy(cls: type) -> tuple[frozenset[str], frozenset[str]]:
    dropped = {name for base in cls.__mro__ for name in _registered.get(base) or ()}
    owner = next(base for base in cls.__mro__ if "__init__" in vars(base))
    package = package_of(owner)
    mentioned = set(_mentioned(cls))
    if hasattr(cls, "get_params"):
        dropped |= IRRELEVANT.get(package, frozenset()) - mentioned
    packages = {package_of(base) for base in cls.__mro__}
    for name in packages & _NOISE.keys():
        dropped |= _NOISE[name]
    return frozenset(dropped), _KEYWORDS.get(package, frozenset()) - mentioned


def _mentioned(cls: type) -> Iterator[str]:
    """Return the names that the methods of the user's classes mention."""
    bases = [base for base in cls.__mro__ if not is_library(base.__module__)]
    todo: list[Any] = [value for base in bases for value in vars(base).values()]
    while todo:
        value = todo.pop()
        if isinstance(value, types.CodeType):
            yield from value.co_names
            yield from (text for text in value.co_consts if isinstance(text, str))
            todo += value.co_consts
        elif isinstance(value, property):
            todo += value.fget, value.fset, value.fdel
        elif isinstance(value, types.FunctionType):
            todo.append(value.__code__)
            todo += (
                cell.cell_contents for cell in value.__closure__ or () if _full(cell)
            )
        elif isinstance(value, classmethod | staticmethod):
            todo.append(value.__func__)
        elif isinstance(value, functools.cached_property):
            todo.append(value.func)


def _full(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - it fails where nothing is assigned yet
    except ValueError:
        return False
    return True
