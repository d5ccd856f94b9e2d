"""Settings of Python and of libraries for the whole process, which scores depend on.

A worker has in each fold those of its parent, whatever the fold before it has set. Of
libraries that nobody has imported nothing is known, and none is imported here.
"""

import contextlib
import decimal
import locale
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

__all__ = ["LIBRARIES", "current", "numeric_settings", "put_back", "shipped"]


#: Of a setting whose value before anybody sets it is another in each release.
_VARIES = object()


class _Setting(NamedTuple):
    """A value that holds in the whole process."""

    library: str
    name: str
    read: Callable[[Any], Any]
    """Gets the library; gives a value that can be sent and compared."""
    write: Callable[[Any, Any], object]
    default: Any = _VARIES
    """What it is where nobody has set it; it counts for a key where it is not that."""
    is_shipped: bool = True
    """Whether the parent's value holds in workers."""


# ---------------------------------------------------------------------------
# Python and numpy


def _decimal_context(_: Any) -> tuple[Any, ...]:
    now = decimal.getcontext()
    traps = tuple(sorted(kind.__name__ for kind, is_set in now.traps.items() if is_set))
    return (now.prec, now.rounding, now.Emin, now.Emax, now.capitals, now.clamp, traps)


def _set_decimal_context(_: Any, value: tuple[Any, ...]) -> None:
    prec, rounding, least, most, capitals, clamp, traps = value
    signals = [getattr(decimal, name) for name in traps]
    decimal.setcontext(
        decimal.Context(prec, rounding, least, most, capitals, clamp, [], signals)
    )


def _set_locale(_: Any, value: str) -> None:
    with contextlib.suppress(locale.Error):  # it is not installed any more
        locale.setlocale(locale.LC_ALL, value)


# Without those that only later releases have, and without "formatter": a function.
_PRINT_DEFAULTS = {
    "edgeitems": 3,
    "floatmode": "maxprec",
    "infstr": "inf",
    "legacy": False,
    "linewidth": 75,
    "nanstr": "nan",
    "precision": 8,
    "sign": "-",
    "suppress": False,
    "threshold": 1000,
}

_PYTHON = [
    _Setting(
        "decimal",
        "getcontext()",
        _decimal_context,
        _set_decimal_context,
        (
            *(28, decimal.ROUND_HALF_EVEN, -999999, 999999, 1, 0),
            ("DivisionByZero", "InvalidOperation", "Overflow"),
        ),
    ),
    _Setting(
        "locale",
        "setlocale(LC_ALL)",
        lambda module: module.setlocale(module.LC_ALL),
        _set_locale,
    ),
    _Setting(
        "sys",
        "getrecursionlimit()",
        lambda module: module.getrecursionlimit(),
        lambda module, value: module.setrecursionlimit(value),
    ),
    _Setting(
        "numpy",
        "geterr()",
        lambda module: module.geterr(),
        lambda module, value: module.seterr(**value),
        {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"},
    ),
    # Texts of arrays may be features.
    _Setting(
        "numpy",
        "get_printoptions()",
        lambda module: {k: module.get_printoptions()[k] for k in _PRINT_DEFAULTS},
        lambda module, value: module.set_printoptions(**value),
        _PRINT_DEFAULTS,
    ),
]


# ---------------------------------------------------------------------------
# pandas

_PANDAS_DEFAULTS = {
    "compute.use_bottleneck": True,
    "compute.use_numba": False,
    "compute.use_numexpr": True,
    "future.infer_string": _VARIES,
    "future.no_silent_downcasting": _VARIES,
    "mode.copy_on_write": _VARIES,
    "mode.string_storage": _VARIES,
    "mode.use_inf_as_na": False,
}


def _pandas(name: str, default: Any) -> _Setting:
    group, _, option = name.partition(".")

    def read(pandas: Any) -> Any:
        # Each fold reads them, and the public function searches and warns each time.
        there = getattr(pandas.options, "d", {}).get(group)
        if there is not None:
            if option not in there:
                raise AttributeError(f"This release of pandas has no option {name}.")
            return there[option]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return pandas.get_option(name)

    def write(pandas: Any, value: Any) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pandas.set_option(name, value)

    return _Setting("pandas", name, read, write, default)


# ---------------------------------------------------------------------------
# Frameworks


# Their values count for keys in `_frameworks.settings`.


def _keras(name: str) -> _Setting:
    return _Setting(
        "keras",
        f"config.{name}()",
        lambda keras: getattr(keras.config, name)(),
        lambda keras, value: getattr(keras.config, f"set_{name}")(value),
    )


def _cudnn(name: str) -> _Setting:
    return _Setting(
        "torch",
        f"backends.cudnn.{name}",
        lambda torch: getattr(torch.backends.cudnn, name),
        lambda torch, value: setattr(torch.backends.cudnn, name, value),
    )


def _jax(name: str) -> _Setting:
    def read(jax: Any) -> Any:
        value = getattr(jax.config, name)
        return getattr(value, "value", value)  # some are enumerations

    return _Setting(
        "jax",
        f"config.{name}",
        read,
        lambda jax, value: jax.config.update(name, value),
    )


def _set_custom_objects(keras: Any, value: dict[str, Any]) -> None:
    now = keras.saving.get_custom_objects()
    now.clear()
    now.update(value)


def _dtype_policy(keras: Any) -> str | None:
    """Return the name of the policy; None if it is that of ``floatx``.

    The public function would settle it, so that a later ``floatx`` had no effect.
    """
    state = sys.modules.get("keras.src.backend.common.global_state")
    if state is None:
        return str(keras.config.dtype_policy().name)
    policy = state.get_global_attribute("dtype_policy")
    return None if policy is None else str(policy.name)


def _set_dtype_policy(keras: Any, value: str | None) -> None:
    if value is None:
        state = sys.modules["keras.src.backend.common.global_state"]
        state.set_global_attribute("dtype_policy", None)
    else:
        keras.config.set_dtype_policy(value)


def _determinism() -> Any:
    """Return TensorFlow's functions; two of them have no public name."""
    return sys.modules.get("tensorflow.python.framework.config")


def _set_determinism(_: Any, value: bool) -> None:
    functions = _determinism()
    (functions.enable_op_determinism if value else functions.disable_op_determinism)()


def _torch_determinism(torch: Any) -> tuple[bool, bool]:
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )


_FRAMEWORKS = [
    _keras("floatx"),
    _keras("epsilon"),
    _keras("image_data_format"),
    _Setting(
        "keras",
        "config.dtype_policy()",
        _dtype_policy,
        _set_dtype_policy,
    ),
    _Setting(
        "keras",
        "saving.get_custom_objects()",
        lambda keras: dict(keras.saving.get_custom_objects()),
        _set_custom_objects,
        is_shipped=False,
    ),
    _Setting(
        "tensorflow",
        "config.functions_run_eagerly()",
        lambda tensorflow: tensorflow.config.functions_run_eagerly(),
        lambda tensorflow, value: tensorflow.config.run_functions_eagerly(value),
    ),
    _Setting(
        "tensorflow",
        "config.experimental.enable_op_determinism()",
        lambda _: _determinism().is_op_determinism_enabled(),
        _set_determinism,
    ),
    _Setting(
        "torch",
        "get_default_dtype()",
        lambda torch: str(torch.get_default_dtype()).removeprefix("torch."),
        lambda torch, value: torch.set_default_dtype(getattr(torch, value)),
    ),
    _Setting(
        "torch",
        "are_deterministic_algorithms_enabled()",
        _torch_determinism,
        lambda torch, value: torch.use_deterministic_algorithms(
            value[0], warn_only=value[1]
        ),
    ),
    _Setting(
        "torch",
        "is_grad_enabled()",
        lambda torch: torch.is_grad_enabled(),
        lambda torch, value: torch.set_grad_enabled(value),
    ),
    _Setting(
        "torch",
        "get_float32_matmul_precision()",
        lambda torch: torch.get_float32_matmul_precision(),
        lambda torch, value: torch.set_float32_matmul_precision(value),
    ),
    _Setting(
        "torch",
        "get_num_threads()",
        lambda torch: torch.get_num_threads(),
        lambda torch, value: torch.set_num_threads(value),
        is_shipped=False,  # workers share the processor
    ),
    _cudnn("deterministic"),
    _cudnn("benchmark"),
    *map(
        _jax,
        (
            "jax_enable_x64",
            "jax_default_matmul_precision",
            "jax_default_prng_impl",
            "jax_disable_jit",
            "jax_numpy_dtype_promotion",
            "jax_numpy_rank_promotion",
        ),
    ),
]

_SETTINGS = {
    f"{setting.library}: {setting.name}": setting
    for setting in (
        *_PYTHON,
        *(_pandas(name, default) for name, default in _PANDAS_DEFAULTS.items()),
        *_FRAMEWORKS,
    )
}

_ERRORS = "numpy: geterr()"

#: Libraries that have settings, and may be imported while a fold runs.
LIBRARIES = ("pandas", "keras", "tensorflow", "torch", "jax")


def current(library: str | None = None) -> dict[str, Any]:
    """Return the values of all settings of what is imported, or of one library."""
    values = {}
    for key, setting in _of(library):
        # Another release may not have it; an import may have failed half way.
        with contextlib.suppress(AttributeError):
            values[key] = setting.read(sys.modules[setting.library])
    return values


def shipped() -> dict[str, Any]:
    """Return the values of this process that are to hold in its workers."""
    return {k: v for k, v in current().items() if _SETTINGS[k].is_shipped}


def put_back(
    values: Mapping[str, Any],
    library: str | None = None,
    now: Mapping[str, Any] | None = None,
) -> None:
    """Set what is not as it is in `values`, where the library is imported.

    Parameters
    ----------
    values : mapping
        By the names of the settings.
    library : str or None
        None for all.
    now : mapping or None
        What `current` has just given; if nothing differs, no setting is read again.
    """
    if now is not None and all(values.get(k, v) == v for k, v in now.items()):
        return
    for key, setting in _of(library):
        with contextlib.suppress(AttributeError):
            module = sys.modules[setting.library]
            # One at a time: some decide about others.
            if key in values and setting.read(module) != values[key]:
                setting.write(module, values[key])


def numeric_settings() -> dict[str, Any]:
    """Return what somebody has set in Python, numpy or pandas that scores depend on.

    What only decides whether there is a warning does not count.
    """
    changed = {
        key: value
        for key, value in current().items()
        if _SETTINGS[key].default is not _VARIES and value != _SETTINGS[key].default
    }
    if _ERRORS in changed:
        modes = changed.pop(_ERRORS).items()
        raised = {kind: mode for kind, mode in modes if mode in ("raise", "call")}
        changed |= {_ERRORS: raised} if raised else {}
    return changed


def _of(library: str | None) -> Iterable[tuple[str, _Setting]]:
    return [
        (key, setting)
        for key, setting in _SETTINGS.items()
        if setting.library in sys.modules
        and (library is None or setting.library == library)
    ]
