"""Where progress is drawn: a bar in a terminal, an updated output in a notebook, neither elsewhere."""

import sys
from collections.abc import Callable
from typing import Any

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress import Progress

from unetpp.api.progress.notebook import NotebookLive, NotebookProgress

__all__ = ["new_bar", "new_live", "stderr_console"]


def stderr_console() -> Console:
    """Lines for people: to stderr, or as outputs of a notebook's cell."""
    return Console(file=sys.stderr, highlight=False, markup=False)


def new_bar(console: Console, *columns: Any, transient: bool) -> Progress | None:
    """A bar that is not started; None where it cannot be drawn again and again."""
    if console.is_jupyter:
        return NotebookProgress(*columns, console=console, transient=transient)
    return Progress(*columns, console=console, transient=transient) if console.is_terminal else None


def new_live(
    console: Console, get_renderable: Callable[[], RenderableType], *, refresh_per_second: float
) -> Live | NotebookLive | None:
    """The same of anything that rich renders."""
    if console.is_jupyter:
        return NotebookLive(get_renderable, transient=False)
    if console.is_terminal:
        return Live(console=console, get_renderable=get_renderable, refresh_per_second=refresh_per_second)
    return None
