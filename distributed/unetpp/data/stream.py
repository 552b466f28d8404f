"""Ray Data as the transport: reading tasks on the cluster, batches to one training worker in order.

A task whose shards all lie in the worker's machine's cache sends word instead of pixels, and the worker
maps the cached files: one copy of each pixel instead of two, and none through the object store.

Each worker runs its own ordered Ray Data execution over its share of the schedule. Splitting one
execution over the workers (`streaming_split`) would let the engine decide which rows a rank gets; here
that is a pure function of (manifest, seed, epoch, step, rank), so runs with any number of workers see
the same global batches and a run resumes at any step.
"""

import logging
from collections.abc import Generator, Iterator
from dataclasses import asdict, replace
from functools import lru_cache
from typing import Any

import pyarrow as pa
import ray
import ray.data

from unetpp.data.batch import CachedUnit, HostBatch
from unetpp.data.read import open_reader, open_unit
from unetpp.data.schedule import Position, StreamPlan, Unit, schedule
from unetpp.data.shard_reader import ShardReader

__all__ = ["stream_batches"]

_UNITS_PER_EXECUTION = 512
"""Epochs are joined into one execution up to this many units, to bound the driver's bookkeeping."""
_BLOCK_BYTES = 8 * 2**20
_BUFFERED_BYTES = 256 * 2**20
"""Object-store bytes one worker's execution may hold; bounds memory whatever the dataset's size."""
_PREFETCHED_BLOCKS = 2
_NODE_LABEL = "ray.io/node-id"
"""Ray labels each node so."""


def stream_batches(
    plan: StreamPlan, *, rank: int, world_size: int, start: Position
) -> Generator[HostBatch, None, None]:
    """One worker's batches from `start` to the end of the run, training and validation interleaved.

    Ray must be connected. Closing the iterator stops the reading tasks.
    """
    for units in _executions(plan, world_size, start):
        yield from _execute(plan, units, rank, world_size)


def _executions(plan: StreamPlan, world_size: int, start: Position) -> Iterator[list[Unit]]:
    pending: list[Unit] = []
    for epoch in range(start.epoch, plan.epochs):
        first_step = start.step if epoch == start.epoch else 0
        pending += schedule(plan, epoch, world_size=world_size, first_step=first_step)
        if len(pending) >= _UNITS_PER_EXECUTION:
            yield pending
            pending = []
    if pending:
        yield pending


def _execute(plan: StreamPlan, units: list[Unit], rank: int, world_size: int) -> Iterator[HostBatch]:
    _configure_context()
    # The plan holds the manifest, whose size grows with the number of shards: ship it once.
    plan_ref = ray.put(plan)
    node_id = ray.get_runtime_context().get_node_id()

    def read(rows: pa.Table) -> Iterator[pa.Table]:
        shared_plan, reader = _opened(plan_ref)
        is_here = ray.get_runtime_context().get_node_id() == node_id
        for row in rows.to_pylist():
            opened = open_unit(shared_plan, Unit(**row), rank=rank, world_size=world_size, reader=reader)
            if is_here and opened.in_cache:
                yield CachedUnit(opened.unit, opened.counts).to_table()
            else:
                yield from (batch.to_table() for batch in opened.batches())

    items = [asdict(unit) for unit in units]
    dataset = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
        read,
        batch_size=1,
        batch_format="pyarrow",
        zero_copy_batch=True,
        # Reading waits on storage more than it computes; reserving whole CPUs would starve small clusters.
        num_cpus=0,
        compute=ray.data.TaskPoolStrategy(size=plan.reading_tasks),
        # Pixels reach this process through the cache of its own machine.
        label_selector={_NODE_LABEL: node_id} if plan.cache_bytes else None,
    )
    blocks = dataset.iter_batches(
        batch_size=None, batch_format="pyarrow", prefetch_batches=_PREFETCHED_BLOCKS
    )
    reader = open_reader(plan)
    for block in blocks:
        for row in range(block.num_rows):
            if CachedUnit.is_at(block, row):
                yield from _map(plan, CachedUnit.from_table(block, row), rank, world_size, reader)
            else:
                yield HostBatch.from_table(block, row)


def _map(
    plan: StreamPlan, cached: CachedUnit, rank: int, world_size: int, reader: ShardReader
) -> Iterator[HostBatch]:
    """Batches from entries that a task has just found or made; one evicted since is fetched here."""
    opened = open_unit(plan, cached.unit, rank=rank, world_size=world_size, reader=reader)
    return replace(opened, counts=cached.counts + opened.counts.without_hits()).batches()


@lru_cache(maxsize=2)
def _opened(plan_ref: Any) -> tuple[StreamPlan, ShardReader]:
    """A plan and its shards, kept by the process that reads for it; a large manifest takes long to load."""
    plan: StreamPlan = ray.get(plan_ref)
    return plan, open_reader(plan)


def _configure_context() -> None:
    # Two lines at each execution's start and end would drown the epoch lines.
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.use_datasource_v2 = False
    context.target_max_block_size = _BLOCK_BYTES
    context.execution_options.preserve_order = True
    context.execution_options.resource_limits = context.execution_options.resource_limits.copy(
        object_store_memory=_BUFFERED_BYTES
    )
