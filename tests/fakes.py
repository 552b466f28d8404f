"""A tiny packed dataset, a session without Ray and configurations that train in a second."""

from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from unetpp.config.run import RunConfig
from unetpp.core.manifest import ChannelStats, ClassInfo, Manifest, SplitInfo
from unetpp.core.rundir import RunDir
from unetpp.core.storage import open_storage
from unetpp.data.dataset.manifests import commit_manifest
from unetpp.data.dataset.parquet import encode_shard, shard_info
from unetpp.data.dataset.sample import Sample
from unetpp.data.stream.batch import HostBatch
from unetpp.data.stream.stream_plan import Position, StreamPlan, Unit, epoch_units
from unetpp.data.stream.unit import open_reader, open_unit
from unetpp.training.loop.session import Request
from unetpp.training.loop.state import TrainState
from unetpp.training.run.create import create_run
from unetpp.training.run.job import TrainJob
from unetpp.training.run.rank import run_job

SIDE_PX = 16
_CPU = torch.device("cpu")


def write_dataset(
    folder: Path | str,
    rows: Mapping[str, int],
    *,
    rows_per_shard: int = 5,
    labelled: bool = False,
    val_mask_value: int = 1,
) -> Manifest:
    """Bright squares on noise, packed with the real writer; labels say in which half a square's top is.

    Args:
        val_mask_value: of the squares in the split val, where other than 1 it is that of all its pixels.
    """
    storage, generator = open_storage(str(folder)), np.random.default_rng(0)
    splits: dict[str, SplitInfo] = {}
    for split, count in rows.items():
        samples = [_sample(f"{split}-{index}", generator, labelled=labelled) for index in range(count)]
        if split == "val" and val_mask_value != 1:
            for sample in samples:
                sample.mask[:] = val_mask_value
        infos = []
        for first in range(0, count, rows_per_shard):
            part = samples[first : first + rows_per_shard]
            data = encode_shard(part)
            info = shard_info(split, len(infos), part, data)
            storage.write(info.name, data)
            infos.append(info)
        splits[split] = SplitInfo(rows=count, shards=tuple(infos))
    manifest = Manifest(
        version="00001",
        task="binary",
        classes=(ClassInfo(name="square", colour=(255, 0, 0)),),
        ignore_index=None,
        image_labels=("upper", "lower") if labelled else (),
        channels=1,
        dtype="uint8",
        splits=splits,
        channel_stats=(ChannelStats(mean=90, std=50, p01=0, p50=80, p99=230),),
        sizes={f"{SIDE_PX}x{SIDE_PX}": sum(rows.values())},
        class_pixels=(1000,),
        foreground_histogram=(0,) * 10,
        command="test",
        versions={},
        fingerprint="test",
    )
    commit_manifest(storage, manifest)
    return manifest


def _sample(name: str, generator: np.random.Generator, *, labelled: bool) -> Sample:
    image = generator.integers(0, 120, (SIDE_PX, SIDE_PX, 1)).astype(np.uint8)
    mask = np.zeros((SIDE_PX, SIDE_PX), np.uint8)
    top, left = generator.integers(0, SIDE_PX - 6, 2)
    mask[top : top + 6, left : left + 6] = 1
    image[mask == 1] += 100
    label = int(top >= SIDE_PX // 2) if labelled else None
    return Sample(name, name, image, mask, label, f"{name}.png", (SIDE_PX, SIDE_PX))


def tiny_config(uri: str, **sections: dict[str, Any]) -> RunConfig:
    """Every `auto` decided; sections override fields."""
    fields: dict[str, dict[str, Any]] = {
        "data": {"uri": uri, "batch_size": 4, "crop": SIDE_PX, "foreground": 0.0, "cache_bytes": 0},
        "model": {
            "in_channels": 1,
            "num_classes": 1,
            "spatial_dims": 2,
            "depth": 2,
            "width": 4,
            "image_classes": 0,
            "norm": "group",
        },
        "train": {"epochs": 3, "validate_every": 1, "precision": "fp32", "trackers": ()},
        "scale": {"gpu": False, "cpus_per_worker": 1},
    }
    for name, values in sections.items():
        fields[name] = fields.get(name, {}) | values
    return RunConfig.model_validate(fields)


def read_unit(plan: StreamPlan, unit: Unit, *, rank: int, world_size: int) -> Iterator[HostBatch]:
    """One worker's batches of a unit, in step order, from verified shards."""
    yield from open_unit(plan, unit, rank=rank, world_size=world_size, reader=open_reader(plan)).batches()


class LocalSession:
    """One rank's session, fed by reading the plan's units directly; asks to stop after `stop_after` steps."""

    def __init__(self, *, rank: int = 0, world_size: int = 1, stop_after: int | None = None) -> None:
        self.rank, self.world_size = rank, world_size
        self.reports: list[dict[str, Any]] = []
        self.steps = 0
        self._stop_after = stop_after

    def batches(self, plan: StreamPlan, start: Position) -> Generator[HostBatch, None, None]:
        for epoch in range(start.epoch, plan.epochs):
            first_step = start.step if epoch == start.epoch else 0
            for unit in epoch_units(plan, epoch, world_size=self.world_size, first_step=first_step):
                yield from read_unit(plan, unit, rank=self.rank, world_size=self.world_size)

    def report(self, metrics: Mapping[str, Any]) -> None:
        self.reports.append(dict(metrics))

    def heartbeat(self, progress: Mapping[str, Any]) -> Request:
        self.steps += 1
        stops = self._stop_after is not None and self.steps >= self._stop_after
        return Request.STOP if stops else Request.GO_ON


def start_run(config: RunConfig, manifest: Manifest) -> TrainJob:
    """Claim the run folder as `new_run` does."""
    create_run(config, [], manifest, {})
    return TrainJob(config, manifest, config.run_uri)


def train(job: TrainJob, session: LocalSession | None = None, *, device: torch.device = _CPU) -> TrainState:
    torch.use_deterministic_algorithms(True)
    return run_job(job, session or LocalSession(), device)


def final_weights(job: TrainJob) -> dict[str, bytes]:
    found = RunDir(job.run_uri).checkpoints.latest()
    assert found is not None
    return {name: data for name, data in found[1].items() if name.endswith("safetensors")}
