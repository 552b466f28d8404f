"""Progress over images: a bar on a terminal, nothing elsewhere, where the result follows soon enough."""

import sys
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

__all__ = ["ImageProgress"]


class ImageProgress:
    """Call it with (done, total); draws on stderr."""

    def __init__(self, verb: str) -> None:
        console = Console(file=sys.stderr)
        columns = (TextColumn(verb), BarColumn(bar_width=24), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._bar.add_task(verb, total=None)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._bar.stop()

    def __call__(self, done: int, total: int) -> None:
        self._bar.update(self._task, completed=done, total=total)
