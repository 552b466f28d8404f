"""What the processes of this package do with memory: garbage is searched for rarely, freed tensors are kept.

torch, Ray and pandas are 2,800 modules. Python looks through all their objects again whenever a quarter of
them is new, and once more at exit: 1.3 of the 3.1 s of processor time of a process that imports them and
ends.

glibc maps a block of more than 32 MiB by itself and gives it back when it is freed, so that each large tensor
is made of pages that the system clears first: 10 % of a training step at 256 px and 15 to 25 % of a forward
pass on a CPU.
"""

import atexit
import ctypes
import gc
import sys

__all__ = ["SPARE_LASTING_OBJECTS", "keep_freed_memory", "spare_lasting_objects"]

SPARE_LASTING_OBJECTS = f"{__name__}.spare_lasting_objects"
"""The function's name, for Ray's `worker_process_setup_hook`."""

_FULL_COLLECTION = 100
"""Collections of the middle generation before one of the oldest: 700,000 new objects, more than imports make
and a bound on what waits to be found. Python has 10, where a quarter of the oldest is new.
"""
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Of `mallopt`, see malloc.h."""
_MAPPED_BYTES = 256 * 2**20
"""Blocks from this size on are still given back: whole images rather than features."""
_KEPT_BYTES = 2**31 - 1


def spare_lasting_objects() -> None:
    """Collect young garbage as ever, old garbage rarely, none at exit; for this package's processes."""
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, _FULL_COLLECTION)
    # Registered before what libraries register, it runs after them.
    atexit.register(gc.freeze)


def keep_freed_memory() -> None:
    """For a process whose work is a network's: at most 2 GiB of what it has freed stay with it."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _MAPPED_BYTES)
        mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
