"""The settings of a worker: in each fold those of its parent.

What a fold sets is put back before the next one, which may belong to another candidate.
What the script has set holds in the workers, too, as in the refit: at once, or as soon
as the library is imported. What a module sets when a fold imports it holds from then
on, as in any process: it is not imported again.
"""

import contextlib
import functools
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from types import ModuleType
from typing import Any

import wrapt

from .. import _settings

__all__ = ["FoldSettings"]


class FoldSettings:
    """What is to be set in this process at the beginning of each fold."""

    def __init__(self) -> None:
        # From the weakest to the strongest.
        self._found: dict[str, Any] = {}
        self._shipped: dict[str, Any] = {}
        self._imported: dict[str, Any] = {}
        self._is_importing = self._is_in_fold = False

    def follow(self) -> None:
        """Look at what is imported from now on."""
        for library in _settings.LIBRARIES:
            wrapt.register_post_import_hook(self._at_import, library)
        execute = SourceFileLoader.exec_module

        @functools.wraps(execute)
        def exec_module(loader: SourceFileLoader, module: ModuleType) -> None:
            if self._is_importing or not self._is_in_fold:
                execute(loader, module)
                return
            self._is_importing = True
            before = _settings.current()
            try:
                execute(loader, module)
            finally:
                self._is_importing = False
                after = _settings.current()
                self._imported.update(
                    {k: after[k] for k, v in before.items() if after.get(k, v) != v}
                )

        SourceFileLoader.exec_module = exec_module  # type: ignore[method-assign, assignment]

    def open(self, shipped: dict[str, Any]) -> None:
        """Take over what another search wants."""
        self._shipped = shipped

    def begin(self) -> None:
        """Set what a fold begins with.

        For its objects, and once more when they are there: the modules that come with
        them may set something.
        """
        now = _settings.current()
        self._found = {**now, **self._found}
        wanted = {**self._found, **self._shipped, **self._imported}
        _settings.put_back(wanted, now=now)

    @contextlib.contextmanager
    def in_fold(self) -> Iterator[None]:
        """Take note that the estimator's code runs."""
        self._is_in_fold = True
        try:
            yield
        finally:
            self._is_in_fold = False

    def _at_import(self, library: ModuleType) -> None:
        name = library.__name__
        self._found = {**_settings.current(name), **self._found}
        _settings.put_back({**self._found, **self._shipped}, name)
