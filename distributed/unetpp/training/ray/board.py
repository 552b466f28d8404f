"""The actor between a run's workers and whoever watches; its process loads neither torch nor Ray Train."""

from collections.abc import Collection
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from unetpp.compat.ray import remove_placement_group

__all__ = ["ProgressBoard", "remove_placement_groups", "start_beside_caller"]


class ProgressBoard:
    """An actor between rank 0 and whoever watches: progress one way, the request to stop the other."""

    def __init__(self) -> None:
        self._progress: dict[str, Any] = {}
        self._epochs: list[dict[str, Any]] = []
        self._warnings: list[str] = []
        self._groups: set[str] = set()
        self._stop = False

    def update(self, progress: dict[str, Any]) -> bool:
        """Replace the progress inside the epoch; returns whether to stop."""
        self._progress = progress
        return self._stop

    def add_epoch(self, metrics: dict[str, Any]) -> None:
        """Append a finished epoch."""
        self._progress = {}
        self._epochs.append(metrics)

    def add_warning(self, text: str) -> None:
        """Pass on a line that a worker logged."""
        self._warnings.append(text)

    def read(self) -> tuple[dict[str, Any], list[dict[str, Any]], list[str]]:
        """Progress inside the epoch, and the epochs and warnings since the last call."""
        epochs, self._epochs = self._epochs, []
        warnings, self._warnings = self._warnings, []
        return self._progress, epochs, warnings

    def request_stop(self) -> None:
        """Ask the workers to stop before their next step."""
        self._stop = True

    def is_stop_requested(self) -> bool:
        """Whether the workers were asked to stop."""
        return self._stop

    def hold(self, group: str) -> None:
        """The workers' resources are in this placement group."""
        self._groups.add(group)

    def groups(self) -> set[str]:
        """Placement groups that hold or held workers' resources."""
        return self._groups


def start_beside_caller(actor_class: type[Any]) -> Any:
    """Start an actor on the machine of whoever calls: it is lost with its caller and not before."""
    strategy = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(num_cpus=0, scheduling_strategy=strategy)(actor_class).remote()


def remove_placement_groups(groups: Collection[str]) -> None:
    """Free what workers hold or held, and end those; groups that are gone are passed over.

    Ray Train leaves this to an actor that asks Ray's dashboard, which an embedded Ray does not have.
    """
    for group in groups:
        remove_placement_group(group)
