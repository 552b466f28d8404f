"""Progress over images: a bar in a terminal or a notebook; nothing elsewhere, the result follows soon."""

from typing import Self

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

from unetpp.api.progress.bars import new_bar, stderr_console

__all__ = ["ImageProgress"]


class ImageProgress:
    """Call it with (done, total)."""

    def __init__(self, verb: str) -> None:
        columns = (TextColumn(verb), BarColumn(bar_width=24), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = new_bar(stderr_console(), *columns, transient=True)
        self._task = None if self._bar is None else self._bar.add_task(verb, total=None)

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, done: int, total: int) -> None:
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done, total=total)
