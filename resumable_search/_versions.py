"""Folds that come from other versions of Python or a library than today's."""

import importlib.metadata
import platform
import sys
import warnings

from ._exceptions import VersionMixWarning

__all__ = ["OldVersions"]

# Import name -> the distributions that may have brought it.
_DISTRIBUTIONS = {
    "sklearn": ("scikit-learn",),
    "tensorflow": ("tensorflow", "tensorflow-cpu", "tensorflow-macos"),
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
                f"{', '.join(changes)}. Their scores are used as they are. To compute "
                "them again, give another 'checkpoint'.",
                VersionMixWarning,
                stacklevel=2,
            )


def _version_now(name: str) -> str | None:
    if name == "python":
        return platform.python_version()
    version = getattr(sys.modules.get(name), "__version__", None)
    if isinstance(version, str):
        return version
    for distribution in _DISTRIBUTIONS.get(name, (name,)):
        try:
            return importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None
