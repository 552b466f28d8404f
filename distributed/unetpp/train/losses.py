"""Says which workers were lost, in the process of Ray Train that restarts them."""

from typing import Any

from ray.exceptions import RayActorError
from ray.train import UserCallback

__all__ = ["TellLosses", "describe_loss"]


class TellLosses(UserCallback):  # type: ignore[misc]  # ray is not typed
    """Puts one line on the board for each time that workers end with an error."""

    def __init__(self, board: Any) -> None:
        self._board = board

    def after_exception(self, run_context: Any, worker_exceptions: dict[int, Exception]) -> None:
        """Called by Ray Train before it decides whether to start the workers again."""
        limit = run_context.run_config.failure_config.max_failures
        self._board.add_warning.remote(f"{describe_loss(worker_exceptions)} (scale.max_failures={limit})")


def describe_loss(errors: dict[int, Exception]) -> str:
    """Who was lost; where a process died, not those whose connection to it broke."""
    dead = [rank for rank, error in errors.items() if isinstance(error, RayActorError)]
    ranks = ", ".join(map(str, sorted(dead or errors)))
    if dead:
        return f"lost rank {ranks}: its process or node died; training goes on from the last checkpoint"
    return f"rank {ranks} failed; training is tried again from the last checkpoint"
