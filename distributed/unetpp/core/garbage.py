"""The search for cyclic garbage, kept away from what lasts as long as the process.

torch, Ray and pandas are 2,800 modules. Python looks through all their objects again whenever a quarter of
them is new, and once more at exit: 1.3 of the 3.1 s of processor time of a process that imports them and
ends.
"""

import atexit
import gc

__all__ = ["SPARE_LASTING_OBJECTS", "spare_lasting_objects"]

SPARE_LASTING_OBJECTS = f"{__name__}.spare_lasting_objects"
"""The function's name, for Ray's `worker_process_setup_hook`."""

_FULL_COLLECTION = 100
"""Collections of the middle generation before one of the oldest: 700,000 new objects, more than imports make
and a bound on what waits to be found. Python has 10, where a quarter of the oldest is new.
"""


def spare_lasting_objects() -> None:
    """Collect young garbage as ever, old garbage rarely, none at exit; for this package's processes."""
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, _FULL_COLLECTION)
    # Registered before what libraries register, it runs after them.
    atexit.register(gc.freeze)
