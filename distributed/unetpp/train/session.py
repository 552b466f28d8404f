"""What a training loop needs from whatever runs it; three calls wide.

The Ray Train worker, the one-worker Tune actor and the tests each provide one.
"""

from collections.abc import Generator, Mapping
from typing import Any, Protocol

from unetpp.data.batch import HostBatch
from unetpp.data.schedule import Position, StreamPlan

__all__ = ["Session"]


class Session(Protocol):
    """One worker's view of its surroundings."""

    @property
    def rank(self) -> int: ...

    @property
    def world_size(self) -> int: ...

    def batches(self, plan: StreamPlan, start: Position) -> Generator[HostBatch, None, None]:
        """This rank's batches from `start` on, training and validation interleaved as scheduled."""
        ...

    def report(self, metrics: Mapping[str, Any]) -> None:
        """Called by every rank at the end of each epoch, after the checkpoint is safe."""
        ...

    def heartbeat(self, progress: Mapping[str, Any]) -> bool:
        """Show progress inside an epoch; returns whether this rank was asked to stop."""
        ...
