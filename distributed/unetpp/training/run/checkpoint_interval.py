"""When a checkpoint inside an epoch is due: every so many steps, every so many minutes, or both."""

import time
from collections.abc import Callable

__all__ = ["Cadence"]


class Cadence:
    """Counts from the last checkpoint of any kind.

    Args:
        every_steps: steps of the run between checkpoints; 0 counts none.
        minutes: between checkpoints; 0 counts none.
        clock: seconds, never going back.
    """

    def __init__(self, every_steps: int, minutes: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._every_steps, self._interval_s = every_steps, minutes * 60
        self._clock = clock
        self._saved_s = clock()

    def is_due(self, global_step: int) -> bool:
        """Whether to save after that step of the run; a resumed run saves at the same ones."""
        by_steps = self._every_steps > 0 and global_step % self._every_steps == 0
        return by_steps or 0 < self._interval_s <= self._clock() - self._saved_s

    def saved(self) -> None:
        """A checkpoint has just been written."""
        self._saved_s = self._clock()
