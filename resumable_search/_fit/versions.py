"""Versions of Python and of libraries: which fold is another one, and which a mix.

A library's code counts by name, so its version stands for what it does. Most of its
releases change no score, and a fold may have cost hours; others change what a model
is. What counts is the user's choice:

- "minor": another first or second number of a library's version makes other folds.
  Not of those in `_STABLE`, whose scores hold across releases as a rule and on which
  everything depends, so that each upgrade would discard everything.
- "exact": any other version makes other folds, of Python and of every library.
- "ignore": no version does.

Whatever is reused and has other versions is warned about.
"""

import functools
import hashlib
import importlib.metadata
import platform
import re
import sys
import warnings
from collections.abc import Iterable
from pathlib import Path

from .._exceptions import VersionMixWarning
from .._texts import inert

__all__ = [
    "CHOICES",
    "OldVersions",
    "version_part",
    "version_table",
    "versions_beside",
]

#: What the 'versions' parameter of a search may be.
CHOICES = ("ignore", "minor", "exact")

# Import name -> the distributions that may have brought it.
_DISTRIBUTIONS = {
    "sklearn": ("scikit-learn",),
    "tensorflow": ("tensorflow", "tensorflow-cpu", "tensorflow-macos"),
}

# What workers note of themselves, by import name.
_NOTED_BY_WORKERS = frozenset(
    {"sklearn", "numpy", "scipy", "keras", "tensorflow", "torch", "jax"}
)

# Import names whose releases are warned about and make no other folds.
_STABLE = _NOTED_BY_WORKERS | {
    "cloudpickle",
    "jaxlib",
    "joblib",
    "pandas",
    "polars",
    "pyarrow",
    "resumable_search",
    "tf_keras",
    "threadpoolctl",
}

# The top-level name of a line of RECORD, if it stands for something to import.
_RECORDED = re.compile(r"(?m)^([^/.,\n]+)(?:[/.][^,\n]*)?\.(?:py|so|pyd),")


def version_part(packages: Iterable[str], choice: str) -> str:
    """Return what the versions of libraries add to a key.

    Parameters
    ----------
    packages : iterable of str
        Import names of the packages whose code the key reaches.
    choice : {"ignore", "minor", "exact"}
        What counts.
    """
    if choice == "ignore":
        return ""
    if choice == "exact":
        versions = _versions_of(frozenset(packages))
        return _listed({"python": platform.python_version(), **versions})
    versions = _versions_of(frozenset(packages) - _STABLE)
    return _listed({name: _minor(version) for name, version in versions.items()})


def versions_beside(packages: Iterable[str]) -> dict[str, str]:
    """Return distribution -> version, to record beside a fold what its key reaches.

    Without those that the worker notes itself.
    """
    return _versions_of(frozenset(packages) - _NOTED_BY_WORKERS)


def version_table(packages: Iterable[str], choice: str) -> dict[str, tuple[str, str]]:
    """Return distribution -> (what of its version counts, version)."""
    return {
        name: (version_part([package], choice), version)
        for package in sorted(packages)
        for name, version in _versions_of(frozenset([package])).items()
    }


class OldVersions:
    """Warns, once for each set of versions, where they are not today's."""

    def __init__(self) -> None:
        self._known: set[tuple[tuple[str, str], ...]] = set()

    def note(self, versions: dict[str, str]) -> None:
        """Take note of the versions with which a reused fold was computed."""
        items = tuple(sorted(versions.items()))
        if items in self._known:
            return
        self._known.add(items)
        changes = [
            f"{name} {then} (now {now})"
            for name, then in items
            if (now := _version_now(name)) is not None and now != then
        ]
        if changes:
            warnings.warn(
                "Some of the reused folds were computed with other versions: "
                f"{', '.join(map(inert, changes))}. Their scores are used as they "
                "are. To compute them again, fit once with resume=False; to have every "
                "change of a version do so, give versions='exact'.",
                VersionMixWarning,
                stacklevel=2,
            )


def _listed(versions: dict[str, str]) -> str:
    return ",".join(f"{name}={version}" for name, version in sorted(versions.items()))


def _minor(version: str) -> str:
    """Return the first two numbers of a version, or all of it if it has none."""
    found = re.match(r"(\d+!)?\d+(\.\d+)?", version)
    if found is None:
        return version
    return found[0] if found[2] else f"{found[0]}.0"


def _versions_of(packages: frozenset[str]) -> dict[str, str]:
    """Return distribution -> version."""
    versions: dict[str, str] = {}
    for package in sorted(packages - sys.stdlib_module_names):
        names = _named_alike(package) or _all_distributions(tuple(sys.path)).get(
            package
        )
        known = {
            name: version
            for name in names or ()
            if (version := _installed_version(name)) is not None
        }
        versions |= known or {package: _without_distribution(package)}
    return versions


def _of_source(package: str) -> str:
    """Return what stands for the version of a package that has none."""
    module = sys.modules.get(package)
    content = hashlib.blake2b(digest_size=8)
    for folder in getattr(module, "__path__", ()):
        for file in sorted(Path(folder).rglob("*.py")):
            content.update(str(file.relative_to(folder)).encode() + b"\0")
            content.update(file.read_bytes())
    source = getattr(module, "__file__", None)
    if source and not hasattr(module, "__path__"):
        content.update(Path(source).read_bytes())
    return f"source {content.hexdigest()}"


def _named_alike(package: str) -> list[str]:
    """Return the distribution of a package's own name, if the package is in it.

    To look at all distributions takes long where there are many.
    """
    for name in _DISTRIBUTIONS.get(package, (package,)):
        distribution = _installed(name)
        if distribution is None:
            continue
        files = distribution.read_text("RECORD") or ""
        if re.search(rf"(?m)^{re.escape(package)}(/__init__)?\.", files):
            return [distribution.name]
    return []


@functools.lru_cache(maxsize=2)
def _all_distributions(path: tuple[str, ...]) -> dict[str, list[str]]:  # noqa: ARG001 - for the cache
    """Return import name -> the distributions that may have brought it.

    As `importlib.metadata.packages_distributions` does, which makes an object of each
    file of each distribution.
    """
    found: dict[str, dict[str, None]] = {}
    for distribution in importlib.metadata.distributions():
        if _has_metadata(distribution):
            for package in _packages_in(distribution):
                found.setdefault(package, {})[distribution.name] = None
    return {package: list(names) for package, names in found.items()}


def _packages_in(distribution: importlib.metadata.Distribution) -> set[str]:
    declared = (distribution.read_text("top_level.txt") or "").split()
    if declared:
        return set(declared)
    return set(_RECORDED.findall(distribution.read_text("RECORD") or ""))


def _has_metadata(distribution: importlib.metadata.Distribution) -> bool:
    """Return whether something is there; a stopped installer leaves nothing."""
    return any(map(distribution.read_text, ("METADATA", "PKG-INFO")))


def _installed(name: str) -> importlib.metadata.Distribution | None:
    """Return a distribution that has metadata."""
    return next(
        filter(_has_metadata, importlib.metadata.distributions(name=name)), None
    )


def _installed_version(name: str) -> str | None:
    distribution = _installed(name)
    return None if distribution is None else distribution.version


def _version_now(name: str) -> str | None:
    if name == "python":
        return platform.python_version()
    if name in _NOTED_BY_WORKERS and (version := _said_by(name)):
        return version
    for distribution in _DISTRIBUTIONS.get(name, (name,)):
        if (version := _installed_version(distribution)) is not None:
            return version
    return _without_distribution(name) if name in sys.modules else None


def _without_distribution(package: str) -> str:
    """Return the version that a package says it has, else one made of its source."""
    return _said_by(package) or _of_source(package)


def _said_by(package: str) -> str | None:
    version = getattr(sys.modules.get(package), "__version__", None)
    return version if isinstance(version, str) else None
