"""Short descriptions of values, for error messages and for what is listed to people."""

import re
import reprlib
import types
from collections.abc import Mapping
from typing import Any

import numpy as np

_LONGEST_TEXT = 1000


class _ShortRepr(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = 70
        self.maxlevel = 3

    def repr_instance(self, x: Any, level: int) -> str:
        return _summarize_object(x) or super().repr_instance(x, level)


_short = _ShortRepr()


def summarize(value: object) -> str:
    """Describe a value in at most 80 characters, without its place in memory."""
    try:
        text = _summarize_object(value) or _short.repr(value)
        text = re.sub(r" at 0x[0-9A-Fa-f]+", "", text)
    except Exception:  # whatever a user's __repr__ does
        text = f"{type(value).__name__}(...)"
    text = " ".join(text.split())
    return text if len(text) <= 80 else text[:79] + "…"


def table_of(parameters: Mapping[str, Any]) -> dict[str, tuple[Any, ...]]:
    """Return name -> (text,), or (text, value) where JSON brings the value back."""
    table: dict[str, tuple[Any, ...]] = {}
    for name, value in parameters.items():
        plain = value.item() if isinstance(value, np.generic) else value
        text = summarize(value)
        table[name] = (text, plain) if _is_plain(plain) else (text,)
    return table


def _is_plain(value: object) -> bool:
    if type(value) is str:
        return len(value) <= _LONGEST_TEXT
    if type(value) is int:
        return abs(value) < 2**63  # as far as every reader of JSON goes
    return value is None or type(value) in (float, bool)


def _defined(cls: type) -> set[str]:
    return {name for base in cls.__mro__[:-1] for name in vars(base)}


def _summarize_object(value: Any) -> str | None:
    cls = type(value)
    if isinstance(value, type):
        return f"class {value.__qualname__}"
    if isinstance(value, types.FunctionType | types.BuiltinFunctionType):
        return f"function {value.__qualname__}"
    if isinstance(value, np.generic):
        return repr(value.item())
    if hasattr(cls, "shape") and not isinstance(value, np.dtype):
        dtype = getattr(value, "dtype", "")
        return f"{cls.__name__} {tuple(value.shape)} {dtype}".rstrip()
    if hasattr(cls, "get_params") or "__repr__" not in _defined(cls):
        return f"{cls.__name__}(...)"
    return None
