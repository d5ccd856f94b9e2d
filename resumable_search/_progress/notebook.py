"""A live display in a notebook: one output of its cell, replaced again and again."""

import html
import io
import sys
from typing import Any

from rich.console import Console

from .._records import LiveStatus
from .lines import status_line
from .picture import picture

__all__ = ["NotebookDisplay"]

_WIDTH = 100
_MOST_WORKERS = 20

_STYLE = "white-space: pre; overflow-x: auto; line-height: normal; font-family: "
_STYLE += "Menlo, 'DejaVu Sans Mono', Consolas, 'Courier New', monospace"


class NotebookDisplay:
    """Shows how far a search is in the output of a notebook's cell.

    Parameters
    ----------
    show : callable
        IPython's ``display``.
    """

    #: Seconds between two refreshes.
    pause = 0.5

    def __init__(self, show: Any) -> None:
        self._display = show
        self._handle: Any = None

    @classmethod
    def open(cls) -> "NotebookDisplay | None":
        """Return a display, if this is a notebook's process."""
        if "IPython" not in sys.modules:
            return None
        import IPython
        from IPython.display import display

        # Only a kernel can have its outputs replaced.
        shell: Any = IPython.get_ipython()
        return cls(display) if hasattr(shell, "kernel") else None

    def show(self, status: LiveStatus) -> None:
        """Show how far the search is."""
        console = Console(
            file=io.StringIO(), record=True, width=_WIDTH, force_jupyter=False
        )
        console.print(picture(status, width=_WIDTH, most_workers=_MOST_WORKERS))
        code = console.export_html(inline_styles=True, code_format="{code}")
        self._replace(code, status)

    def close(self, status: LiveStatus) -> None:
        """Leave a line that says how far the search has come."""
        self._replace(html.escape(status_line(status)), status)

    def _replace(self, code: str, status: LiveStatus) -> None:
        content = {
            "text/html": f'<div style="{_STYLE}">{code}</div>',
            "text/plain": status_line(status),
        }
        if self._handle is None:
            self._handle = self._display(content, raw=True, display_id=True)
        else:
            self._handle.update(content, raw=True)
