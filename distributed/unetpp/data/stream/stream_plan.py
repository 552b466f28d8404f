"""What a run reads, in which order: training and validation steps of every epoch, as pure data.

One plan covers all epochs, so a single Ray Data execution feeds a whole run: the next epoch and the
validation set are read while the current epoch trains, and an epoch costs no pipeline start-up.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from unetpp.core.manifest import Manifest, ShardInfo, SplitInfo
from unetpp.data.stream.order import (
    EpochOrder,
    StepShare,
    ThinnedOrder,
    epoch_order,
    num_steps,
    sequential_order,
    step_share,
    units,
)

__all__ = ["Position", "StreamPlan", "Unit", "epoch_units"]


@dataclass(frozen=True, order=True)
class Position:
    """A place in the sample order that holds for any number of workers."""

    epoch: int = 0
    step: int = 0
    """Training steps of the epoch already done."""


@dataclass(frozen=True)
class StreamPlan:
    """Everything that decides the batches of a run; picklable."""

    uri: str
    manifest: Manifest
    batch_size: int
    crop: tuple[int, ...]
    foreground: float
    """Probability that a crop is centred on foreground."""
    epochs: int
    validate_every: int
    """Epochs between validations; 0 where the stream holds none."""
    seed: int
    window_bytes: int
    drop_last: bool
    reading_tasks: int
    cache_bytes: int = 0
    """Limit of the machine's shard cache; 0 switches it off."""
    cache_dir: str = ""
    val_rows: int = 0
    """Rows of the validation split that are scored, evenly spaced; 0 takes all."""
    repeats: tuple[tuple[float, ...], ...] = ()
    """Of the train split, by shard and row: how often a row is drawn; empty draws each once an epoch."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Of the nodes that read; empty reads on the worker's own where there is a cache."""

    @cached_property
    def train_steps(self) -> int:
        """Optimiser steps in an epoch."""
        return num_steps(self._split("train").rows, self.batch_size, drop_last=self.drop_last)

    def val_batch_size(self, world_size: int) -> int:
        """Images in a global validation batch: one a worker where sizes differ."""
        return self.batch_size if len(self.manifest.sizes) == 1 else world_size

    def val_steps(self, world_size: int) -> int:
        """Validation batches in an epoch that validates."""
        return num_steps(self.rows("val"), self.val_batch_size(world_size), drop_last=False)

    def share(self, split: str, step: int, *, rank: int, world_size: int) -> StepShare:
        """One worker's rows of a step of train or val."""
        batch_size = self.batch_size if split == "train" else self.val_batch_size(world_size)
        return step_share(
            step,
            num_rows=self.rows(split),
            batch_size=batch_size,
            rank=rank,
            world_size=world_size,
        )

    def validates(self, epoch: int) -> bool:
        """Whether the epoch, counted from 0, ends with a validation."""
        if not self.validate_every:
            return False
        last = epoch == self.epochs - 1
        return self._split("val").rows > 0 and (last or (epoch + 1) % self.validate_every == 0)

    @property
    def shards(self) -> tuple[ShardInfo, ...]:
        """What the run reads; a shard of which both splits have rows is named once."""
        every = (*self._split("train").shards, *self._split("val").shards)
        return tuple({shard.sha256: shard for shard in every}.values())

    def order(self, split: str, epoch: int) -> EpochOrder | ThinnedOrder:
        """Rows of a split in the order they are read in that epoch."""
        shards = self._split(split).shards
        rows, sizes = [s.rows for s in shards], [s.decoded_bytes for s in shards]
        if split == "train":
            return epoch_order(
                rows,
                sizes,
                seed=self.seed,
                epoch=epoch,
                window_bytes=self.window_bytes,
                repeats=self.repeats,
            )
        order = sequential_order(rows, sizes, window_bytes=self.window_bytes)
        return ThinnedOrder(order, self.val_rows) if self.val_rows else order

    def validation(self, rows: int) -> "StreamPlan":
        """A plan whose only epoch scores that many rows, read from `Position(0, train_steps)` on."""
        return replace(self, epochs=1, validate_every=1, val_rows=rows)

    def rows(self, split: str) -> int:
        """Rows of a split that are read."""
        return self.val_rows if split == "val" and self.val_rows else self._split(split).rows

    def _split(self, name: str) -> SplitInfo:
        return self.manifest.splits.get(name, SplitInfo(rows=0, shards=()))


@dataclass(frozen=True)
class Unit:
    """Steps [first, last) of one epoch and split: the work of one reading task."""

    split: str
    epoch: int
    first: int
    last: int


def epoch_units(plan: StreamPlan, epoch: int, *, world_size: int, first_step: int = 0) -> Iterator[Unit]:
    """Units of one epoch, training before validation."""
    order = plan.order("train", epoch)
    for first, last in units(
        order, batch_size=plan.batch_size, steps=plan.train_steps, first_step=first_step
    ):
        yield Unit("train", epoch, first, last)
    if plan.validates(epoch):
        order, batch_size = plan.order("val", epoch), plan.val_batch_size(world_size)
        for first, last in units(order, batch_size=batch_size, steps=plan.val_steps(world_size)):
            yield Unit("val", epoch, first, last)
