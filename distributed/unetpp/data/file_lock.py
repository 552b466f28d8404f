"""A lock between processes of one machine that a killed holder cannot leave behind."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from unetpp.core.retry import Retry

__all__ = ["file_lock"]

_FIRST_WAIT_S = 0.01
_LONGEST_WAIT_S = 0.25


@contextmanager
def file_lock(path: Path, deadline_s: float) -> Iterator[bool]:
    """Hold the file's `flock`; False, and no lock, if others held it until the deadline.

    The kernel frees the lock of a process that ends, however it ends. The file itself stays.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield _acquire(descriptor, deadline_s)
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, deadline_s: float) -> bool:
    retry = Retry(deadline_s, first_s=_FIRST_WAIT_S, longest_s=_LONGEST_WAIT_S)

    def lock(_: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    try:
        retry(lock, is_transient=lambda error: isinstance(error, BlockingIOError))
    except BlockingIOError:
        return False
    return True
