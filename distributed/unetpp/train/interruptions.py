"""Says why training was interrupted, in the process of Ray Train that starts the workers again."""

from typing import Any

from ray.exceptions import RayActorError
from ray.train import UserCallback

from unetpp.core.logs import redact

__all__ = ["TellInterruptions", "describe_interruption"]

_SHOWN = 120
"""Characters of an error."""


class TellInterruptions(UserCallback):  # type: ignore[misc]  # ray is not typed
    """Puts one line on the board for each time that workers end with an error."""

    def __init__(self, board: Any) -> None:
        self._board = board

    def after_exception(self, run_context: Any, worker_exceptions: dict[int, Exception]) -> None:
        """Called by Ray Train before it decides whether to start the workers again."""
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
