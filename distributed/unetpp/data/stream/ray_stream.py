"""Ray Data as the transport: reading tasks on the cluster, batches to one training worker in order.

A task whose shards all lie in the worker's machine's cache sends word instead of pixels, and the worker
maps the cached files: one copy of each pixel instead of two, and none through the object store. The first
unit is read by the worker itself while Ray Data starts, which takes a second or two; where the cache holds
everything, or the dataset is small and will fit into it, Ray Data is not started. With `data.labels` the
nodes so labelled read, into caches of their own, and send all pixels.

Each worker runs its own ordered Ray Data execution over its share of the plan. Splitting one
execution over the workers (`streaming_split`) would let the engine decide which rows a rank gets; here
that is a pure function of (manifest, seed, epoch, step, rank), so runs with any number of workers see
the same global batches and a run resumes at any step.
"""

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import asdict, replace
from functools import lru_cache
from itertools import chain, islice
from typing import Any

import pyarrow as pa
import ray
import ray.data
from ray.exceptions import RayTaskError

from unetpp.core.errors import own_error
from unetpp.data.cache.reader import ShardReader
from unetpp.data.ray_context import quiet_context
from unetpp.data.stream.batch import CachedUnit, HostBatch
from unetpp.data.stream.prefetch import Prefetch
from unetpp.data.stream.stream_plan import Position, StreamPlan, Unit, epoch_units
from unetpp.data.stream.unit import open_reader, open_unit

__all__ = ["stream_batches"]

_UNITS_PER_EXECUTION = 512
"""Epochs are joined into one execution up to this many units, to bound the bookkeeping of its driver."""
_BLOCKS_AHEAD = 1
_BLOCK_BYTES = 8 * 2**20
_BUFFERED_BYTES = 256 * 2**20
"""Object-store bytes one worker's execution may hold; bounds memory whatever the dataset's size."""
_SMALL_BYTES = 32 * 2**20
"""Of shards as they are stored. Ray Data's processes take 4 s of processor before the first block."""
_NODE_LABEL = "ray.io/node-id"
"""Ray labels each node so."""


def stream_batches(
    plan: StreamPlan, *, rank: int, world_size: int, start: Position
) -> Generator[HostBatch, None, None]:
    """One worker's batches from `start` to the end of the run, training and validation interleaved.

    Ray must be connected. Closing the iterator stops the reading tasks.
    """
    reader = open_reader(plan)
    for units in _executions(plan, world_size, start):
        here = _read_here(plan, units, reader)
        elsewhere = units[len(here) :]
        with closing(Prefetch(_stream(plan, elsewhere, rank, world_size), _BLOCKS_AHEAD)) as blocks:
            for unit in here:
                yield from open_unit(plan, unit, rank=rank, world_size=world_size, reader=reader).batches()
            for block in blocks:
                yield from _batches(block, plan, rank, world_size, reader)


def _read_here(plan: StreamPlan, units: list[Unit], reader: ShardReader) -> list[Unit]:
    """Leading units that the worker reads by itself."""
    if plan.labels:
        return []
    return units if _is_small(plan) or reader.caches(plan.shards) else units[:1]


def _is_small(plan: StreamPlan) -> bool:
    """Whether fetching and decoding it once takes less than starting Ray Data."""
    decoded_bytes = sum(shard.decoded_bytes for shard in plan.shards)
    is_fetched_once = decoded_bytes <= plan.cache_bytes
    return is_fetched_once and sum(shard.bytes for shard in plan.shards) <= _SMALL_BYTES


def _executions(plan: StreamPlan, world_size: int, start: Position) -> Iterator[list[Unit]]:
    units = chain.from_iterable(
        epoch_units(plan, epoch, world_size=world_size, first_step=start.step if epoch == start.epoch else 0)
        for epoch in range(start.epoch, plan.epochs)
    )
    while execution := list(islice(units, _UNITS_PER_EXECUTION)):
        yield execution


def _stream(
    plan: StreamPlan, units: list[Unit], rank: int, world_size: int
) -> Generator[pa.Table, None, None]:
    """Blocks of rows that are batches or word of cached units, in the order of the units."""
    if not units:
        return
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
        label_selector=_nodes(plan, node_id),
    )
    try:
        # Ray gives out nothing before its prefetched blocks are there, which would be whole units here;
        # what reads ahead is the execution itself.
        yield from dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0)
    except RayTaskError as error:
        raise (own_error(error) or error) from error


def _nodes(plan: StreamPlan, node_id: str) -> dict[str, str] | None:
    """Where reading tasks run."""
    if plan.labels:
        return dict(plan.labels)
    # Pixels reach this process through the cache of its own machine.
    return {_NODE_LABEL: node_id} if plan.cache_bytes else None


def _batches(
    block: pa.Table, plan: StreamPlan, rank: int, world_size: int, reader: ShardReader
) -> Iterator[HostBatch]:
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
    context = quiet_context(preserve_order=True)
    # Adding up a process's private pages takes 10 % of a core where it maps gigabytes of cache.
    context.memory_usage_poll_interval_s = None
    context.target_max_block_size = _BLOCK_BYTES
    context.execution_options.resource_limits = context.execution_options.resource_limits.copy(
        object_store_memory=_BUFFERED_BYTES
    )
