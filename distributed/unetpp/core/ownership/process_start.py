"""When a process started, which tells it from a later one with the same number."""

import psutil

__all__ = ["same_start", "started_at"]

_CLOCK_STEP_S = 2.0
"""A start time is counted from boot, whose own time shifts when the clock is set."""


def started_at(pid: int) -> float | None:
    """Start time of a living process; None without one, and for one that has ended but was not waited for."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.NoSuchProcess:
        return None


def same_start(one: float, other: float) -> bool:
    """Whether two start times are of one process."""
    return abs(one - other) <= _CLOCK_STEP_S
