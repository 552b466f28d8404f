"""Progress over images: a bar in a terminal or a notebook; elsewhere a line now and then."""

import time
from collections.abc import Callable
from typing import Self

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

from unetpp.api.progress.bars import new_bar, stderr_console

__all__ = ["ImageProgress"]

_LINE_EVERY_S = 30.0
_LEAST_S = 1.0
"""That a speed is taken over."""


class ImageProgress:
    """Call it with (done, total)."""

    def __init__(self, verb: str, clock: Callable[[], float] = time.monotonic) -> None:
        columns = (
            TextColumn(verb),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
        )
        self._verb, self._clock = verb, clock
        self._console = stderr_console()
        self._bar = new_bar(self._console, *columns, transient=True)
        self._task = None if self._bar is None else self._bar.add_task(verb, total=None, rate="")
        self._first: tuple[int, float] | None = None
        """Images done and the time when it was first told: what was done before says nothing of the speed."""
        self._told_s = clock()

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, done: int, total: int) -> None:
        rate = self._rate(done)
        if self._bar is not None and self._task is not None:
            shown = "" if rate is None else f"{rate:.1f} images/s"
            self._bar.update(self._task, completed=done, total=total, rate=shown)
        elif rate and done < total and self._clock() - self._told_s >= _LINE_EVERY_S:
            self._told_s = self._clock()
            left_s = (total - done) / rate
            self._console.print(
                f"{self._verb}: {done} of {total} images, {rate:.1f} images/s, {left_s:.0f} s left"
            )

    def _rate(self, done: int) -> float | None:
        """Images per second since the first; None until a second has passed.

        Processes of a pool tell of several images at a time, which took no time between them.
        """
        now = self._clock()
        if self._first is None:
            self._first = (done, now)
            return None
        before, since = self._first
        return (done - before) / (now - since) if done > before and now - since >= _LEAST_S else None
