"""Creating a file that exactly one of several writers gets, also on stores without conditional writes.

There, each writer puts up a flag of its own and then lists: whoever sees nothing but its own flag has won.
Of two writers at least one lists after both flags are up, so never both win; both may take theirs down and
try again. It needs listings that show what was written before them, which S3 and its kin promise.
"""

import logging
import random
import time
from collections.abc import Callable
from uuid import uuid4

from unetpp.core.storage import Storage

__all__ = ["create_exclusively"]

logger = logging.getLogger(__name__)

_LONGEST_WAIT_S = 1.0
_FLAG_LIFE_S = 30.0
"""A flag that stays up for so long was left behind by a writer that was killed."""

Sleep = Callable[[float], None]


def create_exclusively(storage: Storage, path: str, data: bytes, *, sleep: Sleep = time.sleep) -> bool:
    """Create a file; False, and no change, if it exists or another writer is first."""
    if storage.supports_conditional_write():
        return storage.write_if_absent(path, data)
    logger.info("%s has no conditional writes; writers are told apart by flags", storage.uri)
    waited_s = 0.0
    while not (won := _try_with_flag(storage, path, data)):
        if storage.exists(path):
            return False
        if waited_s > _FLAG_LIFE_S:
            for flag in _flags(storage, path):
                storage.delete(flag)
        wait_s = random.uniform(0, _LONGEST_WAIT_S)
        sleep(wait_s)
        waited_s += wait_s
    return won


def _try_with_flag(storage: Storage, path: str, data: bytes) -> bool:
    flag = f"{path}.flag-{uuid4().hex}"
    storage.write(flag, b"")
    try:
        # In this order: a winner writes the file before its flag goes.
        if _flags(storage, path) != [flag] or storage.exists(path):
            return False
        storage.write(path, data)
        return True
    finally:
        # Only now: whoever lists later sees the flag or the file.
        storage.delete(flag)


def _flags(storage: Storage, path: str) -> list[str]:
    return storage.list(f"{path}.flag-")
