"""Retry with backoff: repeat an operation that fails for a passing reason, until a deadline."""

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

__all__ = ["Retry"]

logger = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True)
class Retry:
    """Exponential back-off with full jitter.

    The wait before attempt n+1 is uniform in [0, min(longest_s, first_s * 2**n)]; no attempt starts
    after `deadline_s`. Clock, sleep and jitter are fields so that tests need not wait.
    """

    deadline_s: float
    first_s: float = 0.2
    longest_s: float = 10.0
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)
    jitter: Callable[[float, float], float] = field(default=random.uniform, repr=False)

    def __call__(self, operation: Callable[[int], T], *, is_transient: Callable[[Exception], bool]) -> T:
        """Call `operation(attempt)`, attempts counted from 0, and return its first result.

        Raises:
            Exception: the operation's last error, if it is not transient or time is up.
        """
        start_s = self.clock()
        attempt = 0
        while True:
            try:
                return operation(attempt)
            except Exception as error:
                wait_s = self.jitter(0.0, min(self.longest_s, self.first_s * 2**attempt))
                if not is_transient(error) or self.clock() - start_s + wait_s > self.deadline_s:
                    raise
                logger.debug(
                    "attempt %d failed (%s); next in %.1f s", attempt + 1, type(error).__name__, wait_s
                )
            self.sleep(wait_s)
            attempt += 1
