"""What a training loop needs from whatever runs it; three calls wide.

The Ray Train worker, the one-worker Tune actor and the tests each provide one.
"""

from collections.abc import Generator, Mapping
from enum import IntEnum
from typing import Any, Protocol

from unetpp.data.stream.batch import HostBatch
from unetpp.data.stream.stream_plan import Position, StreamPlan

__all__ = ["Request", "Session"]


class Request(IntEnum):
    """What a rank asks for after a step; the largest of all ranks' requests is followed."""

    GO_ON = 0
    SAVE = 1
    STOP = 2
    """Save, then stop."""


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

    def heartbeat(self, progress: Mapping[str, Any]) -> Request:
        """Show progress inside an epoch; returns what this rank was asked for from outside."""
        ...
