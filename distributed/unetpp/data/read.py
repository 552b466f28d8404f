"""From shards to a worker's batches: numpy and pyarrow, no Ray."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unetpp.core.seeds import rng
from unetpp.core.storage import open_storage
from unetpp.data.batch import HostBatch
from unetpp.data.crop import crop_or_pad
from unetpp.data.order import EpochOrder, StepShare, step_share
from unetpp.data.schedule import StreamPlan, Unit
from unetpp.data.shards import decode_image, decode_mask, read_shard

__all__ = ["read_unit"]

_PARALLEL_SHARDS = 4
"""Shards of a window fetched at once; one object-store stream gives about 90 MB/s."""


def read_unit(plan: StreamPlan, unit: Unit, *, rank: int, world_size: int) -> Iterator[HostBatch]:
    """One worker's batches of a unit, in step order, from verified shards.

    Raises:
        CorruptionError: a shard differs from its digest after every refetch.
    """
    order = plan.order(unit.split, unit.epoch)
    batch_size = plan.batch_size if unit.split == "train" else plan.val_batch_size(world_size)
    shares = {
        step: step_share(
            step, num_rows=len(order.rows), batch_size=batch_size, rank=rank, world_size=world_size
        )
        for step in range(unit.first, unit.last)
    }
    needed = np.unique(order.rows[np.concatenate([share.positions for share in shares.values()]), 0])
    tables = _read_shards(plan, unit.split, [int(shard) for shard in needed])
    for step, share in shares.items():
        global_size = min((step + 1) * batch_size, len(order.rows)) - step * batch_size
        yield _assemble(plan, unit, step, global_size, share, order, tables)


def _read_shards(plan: StreamPlan, split: str, shards: list[int]) -> dict[int, pa.Table]:
    storage = open_storage(plan.uri)
    infos = plan.manifest.splits[split].shards
    with ThreadPoolExecutor(_PARALLEL_SHARDS) as pool:
        return dict(zip(shards, pool.map(lambda s: read_shard(storage, infos[s]), shards), strict=True))


def _assemble(
    plan: StreamPlan,
    unit: Unit,
    step: int,
    global_size: int,
    share: StepShare,
    order: EpochOrder,
    tables: Mapping[int, pa.Table],
) -> HostBatch:
    images: list[NDArray[np.generic]] = []
    masks: list[NDArray[np.uint8]] = []
    labels: list[int] = []
    sample_ids: list[str] = []
    for position in share.positions.tolist():
        shard, row = order.rows[position].tolist()
        image, mask, label, sample_id = _sample(tables[shard], row)
        if unit.split == "train":
            image, mask = crop_or_pad(image, mask, plan.crop, rng("crop", plan.seed, unit.epoch, position))
        images.append(image)
        masks.append(mask)
        labels.append(label)
        sample_ids.append(sample_id)
    return HostBatch(
        split=unit.split,
        epoch=unit.epoch,
        step=step,
        global_size=global_size,
        images=np.stack(images),
        masks=np.stack(masks),
        weights=share.weights,
        positions=share.positions,
        labels=np.array(labels, dtype=np.int64),
        sample_ids=tuple(sample_ids),
    )


def _sample(table: pa.Table, row: int) -> tuple[NDArray[np.generic], NDArray[np.uint8], int, str]:
    height, width = table["height"][row].as_py(), table["width"][row].as_py()
    channels, dtype = table["channels"][row].as_py(), table["dtype"][row].as_py()
    image = decode_image(table["image"][row].as_buffer(), height, width, channels, dtype)
    mask = decode_mask(table["mask"][row].as_buffer(), height, width)
    label = table["label"][row].as_py()
    return image, mask, -1 if label is None else int(label), str(table["sample_id"][row].as_py())
