"""Live progress in a Jupyter notebook: one output, replaced as it changes.

rich's own needs ipywidgets in the kernel and in the browser; an updated output works in every front end.
"""

import io
import time
from collections.abc import Callable
from typing import Any

from rich.console import Console, RenderableType
from rich.progress import Progress

__all__ = ["NotebookLive", "NotebookProgress"]

_REFRESH_S = 0.2
_WIDTH = 110
_PAGE = "<pre style='white-space:pre;overflow-x:auto;line-height:1.3;font-family:monospace'>{code}</pre>"


class NotebookLive:
    """Shows what a function renders; drawn when told to, without a thread of its own.

    Args:
        get_renderable: what is to be shown now.
        transient: leave nothing behind.
    """

    def __init__(self, get_renderable: Callable[[], RenderableType], *, transient: bool) -> None:
        self._get_renderable, self._transient = get_renderable, transient
        self._output: Any = None
        self._drawn_s = 0.0

    def start(self) -> None:
        from IPython.display import HTML, display

        self._output = display(HTML(""), display_id=True)

    def refresh(self) -> None:
        """Draw, a few times a second at most."""
        if self._output is not None and time.monotonic() - self._drawn_s > _REFRESH_S:
            self._drawn_s = time.monotonic()
            self._show(_html(self._get_renderable()))

    def stop(self) -> None:
        if self._output is not None:
            self._show("" if self._transient else _html(self._get_renderable()))
            self._output = None

    def _show(self, html: str) -> None:
        from IPython.display import HTML

        self._output.update(HTML(html))


class NotebookProgress(Progress):
    """rich's bars, drawn by `NotebookLive`."""

    def __init__(self, *columns: Any, console: Console, transient: bool) -> None:
        super().__init__(*columns, console=console, transient=transient)
        self._notebook = NotebookLive(self.get_renderable, transient=transient)

    def start(self) -> None:
        self._notebook.start()

    def stop(self) -> None:
        self._notebook.stop()

    def update(self, *args: Any, **changes: Any) -> None:
        super().update(*args, **changes)
        self._notebook.refresh()


def _html(renderable: RenderableType) -> str:
    console = Console(
        file=io.StringIO(),
        record=True,
        highlight=False,
        width=_WIDTH,
        force_terminal=True,
        force_jupyter=False,
    )
    console.print(renderable)
    return console.export_html(inline_styles=True, code_format=_PAGE)
