"""Keys of values: the same for equal values in every process, different otherwise.

The walk (`_walk`) goes over a value's structure. Each part is encoded so that it tells
its own length (`_encoding`), and hashed under the name of its kind; `_key_handlers`
says which class is of which kind:

- numbers, text and containers by value; dicts in their order, sets in none
  (`_encoding`, `_python_keys`)
- arrays, frames and sparse matrices by type, shape and content, not by layout
  (`_array_keys`)
- the estimators that a search clones by class and parameters (`cloning`)
- Keras objects by configuration and weights (`_keras_keys`)
- functions and classes by name or by what they do (`_code_keys`)
- what has a key of its own (`register_key`, ``__resumable_search_key__``) by that
- anything else by its class and the state that pickle would store (`_instance_keys`)

What pickle refuses has no key: better an error than another value's score.
"""

import hashlib
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

from .._exceptions import FingerprintError
from . import computed
from .cloning import encode_cloned
from .depth import call_deeply
from .digests import digest, fold_key, refit_key
from .handlers import handler_of, has_fixed_key, register
from .python import Keywords
from .summaries import summarize
from .walk import KnownParts, Unkeyable, Walk

__all__ = [
    "Keyed",
    "Keywords",
    "digest",
    "fingerprint",
    "fold_key",
    "imports_noted",
    "keyed",
    "parameter_table",
    "refit_key",
    "register_key",
    "summarize",
]


class Keyed(NamedTuple):
    """A key, and what else the walk over the value has found out.

    Attributes
    ----------
    key : str
        128 bits as 32 hexadecimal digits.
    packages : frozenset of str
        Top-level names of the libraries that the value reaches, without Python's own.
    """

    key: str
    packages: frozenset[str]


def fingerprint(value: object, name: str = "value", *, cloned: bool = False) -> str:
    """Return a key that is the same for equal values, in this process and any other.

    Parameters
    ----------
    value : object
        What a score depends on: an estimator, a parameter's value, data, a scorer.
    name : str, default="value"
        What errors call it, such as ``"estimator"``.
    cloned : bool, default=False
        Whether the search clones the value before it is used. If so, estimators in it
        count by class and parameters, as far as `sklearn.base.clone` goes. All else
        that the value reaches counts with its whole state, fitted or not.

    Returns
    -------
    str
        128 bits as 32 hexadecimal digits.

    Raises
    ------
    FingerprintError
        If the value, or one inside it, has no key that is sure to change with it.
    """
    return keyed(value, name, cloned=cloned).key


def keyed(
    value: object,
    name: str = "value",
    *,
    cloned: bool = False,
    known: KnownParts | None = None,
) -> Keyed:
    """Return the key of a value and the libraries that it reaches.

    Parameters and errors are those of `fingerprint`; `known` has what need not be
    walked again.
    """
    code, packages = encoded(value, name, cloned=cloned, known=known)
    return Keyed(
        hashlib.blake2b(code, digest_size=16).hexdigest(),
        frozenset(packages - sys.stdlib_module_names),
    )


def encoded(
    value: object,
    name: str = "value",
    *,
    cloned: bool = False,
    known: KnownParts | None = None,
) -> tuple[bytes, set[str]]:
    """Return what a value is encoded as, and the packages that it reaches."""

    def encode() -> tuple[bytes, set[str]]:
        walk = Walk(handler_of, known)
        code = encode_cloned(walk, value) if cloned else walk.encode(value)
        return walk.finish(code), walk.packages

    try:
        return call_deeply(encode)
    except Unkeyable as error:
        path = name + "".join(reversed(error.path))
        raise FingerprintError(_explain(path, error)) from error
    except RecursionError as error:
        raise FingerprintError(
            f"The value of {name} must not be nested so deeply that a walk over it "
            f"takes more memory than there is. Got {summarize(value)}."
        ) from error


def _explain(path: str, error: Unkeyable) -> str:
    cls = type(error.value)
    kind = f"{cls.__module__}.{cls.__qualname__}"
    remedy = error.remedy or (
        "Open files, locks, connections, generators and the like have no content to "
        "compare. Create it inside the function or method that needs it, or give its "
        "class a method __resumable_search_key__(self) that returns a plain value "
        "which changes when results do, or call resumable_search.register_key("
        f"{cls.__name__}, function) for a class that is not yours."
    )
    return (
        f"{path} must be something that tells when it has changed, because finished "
        f"folds are only reused for equal values. Got {summarize(error.value)} of type "
        f"{kind} instead: {error}. {remedy}"
    )


def imports_noted() -> AbstractContextManager[None]:
    """Note what is in modules that are imported from here on, as of the end.

    Their sources compute it, so that a key need not count it; see `computed`.
    """
    return computed.imports_noted(handler_of)


def register_key(cls: type, function: Callable[[Any], object]) -> None:
    """Say how the objects of a class are told apart when folds are reused.

    A finished fold is reused when the estimator, the parameters, the data, the splits
    and the scorer are the ones it was computed with. Most objects are compared by
    their content. For a class where that cannot work (it holds a connection, say), or
    where less is enough, give a function that returns what counts. A class of your own
    can have a method ``__resumable_search_key__(self)`` instead.

    Parameters
    ----------
    cls : type
        The class. Its subclasses are included, unless they have a function of theirs.
        Not one of Python's and NumPy's values and containers.
    function : callable
        Called with the object. Returns a value that is different when the scores may
        be: a number, text, an array, a tuple or dict of such values, ... It is
        compared along with the name of the object's class.

    Raises
    ------
    TypeError
        If `cls` is not such a class, or `function` cannot be called.

    Examples
    --------
    >>> from resumable_search import register_key
    >>> class Tokenizer:
    ...     def __init__(self, path):
    ...         self.path, self.file = path, open(path)
    >>> register_key(Tokenizer, lambda tokenizer: tokenizer.path)
    """
    if not isinstance(cls, type) or has_fixed_key(cls):
        raise TypeError(
            "The 'cls' parameter of register_key must be a class other than Python's "
            f"and NumPy's own values and containers. Got {cls!r} instead."
        )
    if not callable(function):
        raise TypeError(
            "The 'function' parameter of register_key must be a callable that takes "
            f"an object of the class. Got {function!r} instead."
        )
    register(cls, function)


def parameter_table(estimator: Any) -> dict[str, tuple[str, str]]:
    """List an estimator's parameters, nested ones too, to say later what changed.

    Returns
    -------
    dict of str to (str, str)
        For each parameter its fingerprint (empty where there is none) and a short
        text. ``""`` is the estimator's class. An estimator within is listed by its
        class; its parameters follow under ``name__parameter``.
    """
    values = {"": estimator, **estimator.get_params(deep=True)}
    return {
        name: (_fingerprint_or_empty(_outline(value), name), _describe(value))
        for name, value in sorted(values.items())
    }


def _is_estimator(value: object) -> bool:
    return hasattr(value, "get_params") and not isinstance(value, type)


def _outline(value: object) -> object:
    if _is_estimator(value):
        return type(value)
    if type(value) in (list, tuple):
        return [_outline(item) for item in value]  # type: ignore[attr-defined]
    return value


def _fingerprint_or_empty(value: object, name: str) -> str:
    try:
        return fingerprint(value, name, cloned=True)
    except FingerprintError:
        return ""


def _describe(value: object) -> str:
    cls = type(value)
    return (
        f"{cls.__module__}.{cls.__qualname__}"
        if _is_estimator(value)
        else summarize(value)
    )
