"""Progress of packing and verifying: a bar in a terminal or a notebook, a line per tenth elsewhere."""

import time
from typing import TYPE_CHECKING, Self

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from unetpp.api.progress.bars import new_bar, stderr_console

if TYPE_CHECKING:
    from unetpp.data.pack.pack import Progress

__all__ = ["DataProgress"]

_LINES = 10


class DataProgress:
    """Draws on stderr."""

    def __init__(self) -> None:
        self._console = stderr_console()
        self._bar: Bar | None = None
        self._phase = ""
        self._started_s = 0.0
        self._first = 0
        self._tenth = 0

    def __enter__(self) -> Self:
        self._bar = new_bar(
            self._console,
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            transient=False,
        )
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def pack(self, progress: "Progress") -> None:
        """Show a step of packing."""
        rejected = f"  {progress.rejected} rejected" if progress.rejected else ""
        self._show(progress.phase, progress.done, progress.total, "images", rejected)

    def shard(self, done: int, total: int) -> None:
        """Show a verified shard."""
        self._show("verify", done, total, "shards", "")

    def row(self, done: int, total: int) -> None:
        """Show repacked rows."""
        self._show("repack", done, total, "rows", "")

    def _show(self, phase: str, done: int, total: int, unit: str, suffix: str) -> None:
        if phase != self._phase:
            self._phase, self._started_s, self._tenth = phase, time.monotonic(), 0
            self._first = done
            if self._bar is not None:
                self._bar.add_task(phase, total=total, note="")
        # The first call of a phase starts the clock; what was done before it has no known duration.
        since_first = done - self._first
        rate = since_first / max(time.monotonic() - self._started_s, 1e-3)
        note = (f"{rate:.0f} {unit}/s" if since_first else "") + suffix
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[-1], completed=done, note=note)
        elif done * _LINES // total > self._tenth or done == total:
            self._tenth = done * _LINES // total
            self._console.print(f"{phase:<6} {done}/{total}  {note}".rstrip())
