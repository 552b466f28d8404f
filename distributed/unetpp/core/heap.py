"""The memory that tensors free, kept by the process for the next ones.

glibc maps a block of more than 32 MiB by itself and gives it back when it is freed, so that each large tensor
is made of pages that the system clears first: 10 % of a training step at 256 px and 15 to 25 % of a forward
pass on a CPU.
"""

import ctypes
import sys

__all__ = ["keep_freed_memory"]

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Of `mallopt`, see malloc.h."""
_MAPPED_BYTES = 256 * 2**20
"""Blocks from this size on are still given back: whole images rather than features."""
_KEPT_BYTES = 2**31 - 1


def keep_freed_memory() -> None:
    """For a process whose work is a network's: at most 2 GiB of what it has freed stay with it."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _MAPPED_BYTES)
        mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
