"""Worker failures: why training was interrupted and whether it is tried again, in Ray Train's own process."""

from typing import Any

import ray
from ray.exceptions import RayActorError
from ray.train import UserCallback

from unetpp.core.errors import final_error
from unetpp.core.logs import redact

__all__ = ["StoppedError", "WorkerFailureCallback", "describe_interruption"]

_SHOWN = 120
"""Characters of an error."""


class StoppedError(Exception):
    """Workers died after they were asked to stop; the run stands at its last checkpoint."""


class WorkerFailureCallback(UserCallback):  # type: ignore[misc]  # ray is not typed
    """Puts a line on the board each time that workers end with an error, or ends a run that cannot go on."""

    def __init__(self, board: Any) -> None:
        self._board = board

    def after_exception(self, run_context: Any, worker_exceptions: dict[int, Exception]) -> None:
        """Called by Ray Train before it decides whether to start the workers again.

        Ray Train passes on what this raises and ends.

        Raises:
            UnetppError: the workers would meet it again.
            StoppedError: the run was to end anyway.
        """
        if (final := final_error(worker_exceptions.values())) is not None:
            raise final
        if ray.get(self._board.is_stop_requested.remote()):
            raise StoppedError
        limit = run_context.run_config.failure_config.max_failures
        self._board.add_warning.remote(
            f"training was interrupted ({describe_interruption(worker_exceptions)}); "
            f"it goes on from the last checkpoint, at most scale.max_failures={limit} times"
        )


def describe_interruption(errors: dict[int, Exception]) -> str:
    """What happened to one of the ranks, a dead one before those whose connection to it broke."""
    rank, error = min(errors.items(), key=lambda entry: (not isinstance(entry[1], RayActorError), entry[0]))
    if isinstance(error, RayActorError):
        return f"rank {rank}: its process or node died"
    last_line = (str(error).strip().splitlines() or [type(error).__name__])[-1]
    return redact(f"rank {rank}: {last_line.strip()[:_SHOWN]}")
