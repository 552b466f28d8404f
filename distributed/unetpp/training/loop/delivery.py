"""Takes batches from the stream and refuses any that the plan does not hold."""

from collections.abc import Iterator

import numpy as np

from unetpp.core.errors import UnetppError
from unetpp.data.stream.batch import HostBatch
from unetpp.data.stream.stream_plan import StreamPlan

__all__ = ["Delivery"]


class Delivery:
    """One rank's batches, checked as they come: every row of a split comes once, over all ranks.

    That two ranks have no row in common and miss none follows from each having exactly its share.
    """

    def __init__(self, batches: Iterator[HostBatch], plan: StreamPlan, rank: int, world_size: int) -> None:
        self._batches, self._plan = batches, plan
        self._rank, self._world_size = rank, world_size

    def take(self, split: str, epoch: int, step: int) -> HostBatch:
        """The next batch, which must be this one.

        Raises:
            UnetppError: the stream ended, or delivered another batch or other rows.
        """
        batch = next(self._batches, None)
        found = None if batch is None else (batch.split, batch.epoch, batch.step)
        if batch is None or found != (split, epoch, step):
            raise UnetppError(
                f"the stream must deliver {split} step {step} of epoch {epoch}; it delivered {found}"
            )
        share = self._plan.share(split, step, rank=self._rank, world_size=self._world_size)
        if not (
            np.array_equal(batch.positions, share.positions) and np.array_equal(batch.weights, share.weights)
        ):
            raise UnetppError(
                f"{split} step {step} of epoch {epoch} must hold the rows at {share.positions.tolist()}; "
                f"the stream delivered those at {batch.positions.tolist()}"
            )
        return batch
