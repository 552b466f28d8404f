"""A small dataset and an untrained run on it, written by the real writers."""

from pathlib import Path

import numpy as np
import safetensors.torch
import torch

from unetpp.config.run import RunConfig
from unetpp.config.sections.data import DataConfig
from unetpp.config.sections.model import ModelConfig
from unetpp.core.manifest import IGNORE, ChannelStats, ClassInfo, Manifest, SplitInfo, Task
from unetpp.core.rundir import RunDir
from unetpp.core.storage import open_storage
from unetpp.data.dataset.manifests import commit_manifest
from unetpp.data.dataset.parquet import encode_shard, shard_info
from unetpp.data.dataset.sample import Sample
from unetpp.models.build import build_model
from unetpp.models.load import MODEL_FILE

CLASSES = {
    "binary": (ClassInfo(name="cell", colour=(255, 0, 0)),),
    "multiclass": (
        ClassInfo(name="sky", colour=(0, 0, 0)),
        ClassInfo(name="road", colour=(0, 255, 0)),
        ClassInfo(name="car", colour=(0, 0, 255)),
    ),
    "multilabel": (
        ClassInfo(name="vessel", colour=(255, 0, 0)),
        ClassInfo(name="lesion", colour=(0, 0, 255)),
    ),
}


def random_samples(task: Task, sizes: list[tuple[int, int]], seed: int) -> list[Sample]:
    """RGB noise with one bright rectangle, which is the last class or all labels.

    The first row of pixels never counts in a multiclass mask.
    """
    generator = np.random.default_rng(seed)
    value = {"binary": 1, "multiclass": 2, "multilabel": 3}[task]
    samples = []
    for index, (height, width) in enumerate(sizes):
        image = generator.integers(0, 120, (height, width, 3), dtype=np.uint8)
        mask = np.zeros((height, width), dtype=np.uint8)
        top, left = generator.integers(0, height // 2), generator.integers(0, width // 2)
        box = np.s_[top : top + height // 3, left : left + width // 3]
        mask[box] = value
        if task == "multiclass":
            mask[0] = IGNORE
        image[box] += np.uint8(120)
        name = f"s{seed}-{index:02d}"
        samples.append(Sample(name, name, image, mask, None, f"{name}.png", (height, width)))
    return samples


def write_splits(
    folder: Path,
    task: Task,
    sizes: list[tuple[int, int]],
    resized_px: int | None,
) -> Manifest:
    """Pack one shard per split and commit the manifest."""
    storage = open_storage(folder)
    splits = {}
    for seed, split in enumerate(("train", "val", "test")):
        samples = random_samples(task, sizes, seed)
        data = encode_shard(samples)
        info = shard_info(split, 0, samples, data)
        storage.write(info.name, data)
        splits[split] = SplitInfo(rows=len(samples), shards=(info,))
    counted: dict[str, int] = {}
    for height, width in sizes:
        counted[f"{height}x{width}"] = counted.get(f"{height}x{width}", 0) + 3
    manifest = Manifest(
        version="00001",
        task=task,
        classes=CLASSES[task],
        ignore_index=IGNORE if task == "multiclass" else None,
        channels=3,
        dtype="uint8",
        splits=splits,
        channel_stats=(ChannelStats(mean=70, std=40, p01=0, p50=60, p99=230),) * 3,
        sizes=counted,
        class_pixels=tuple(100 * (k + 1) for k in range(len(CLASSES[task]))),
        foreground_histogram=(1, 2, 0, 0, 0, 0, 0, 0, 0, 0),
        command="test",
        resized_px=resized_px,
        versions={},
        fingerprint="f" * 64,
    )
    commit_manifest(storage, manifest)
    return manifest


def write_untrained_run(
    folder: Path,
    task: Task = "binary",
    *,
    sizes: list[tuple[int, int]] | None = None,
    resized_px: int | None = None,
    name: str = "run",
    width: int = 4,
    depth: int = 2,
) -> str:
    """Write `<name>-data` and a run with one checkpoint of random weights; returns the run's URI."""
    sizes = sizes or [(24, 24), (24, 24), (20, 33), (17, 9)]
    data = folder / f"{name}-data"
    return write_run_of(
        write_splits(data, task, sizes, resized_px), data, folder / name, width=width, depth=depth
    )


def write_run_of(manifest: Manifest, data: Path, out: Path, *, width: int = 4, depth: int = 2) -> str:
    """Write a run with one checkpoint of random weights on a packed dataset; returns the run's URI."""
    model = ModelConfig(
        in_channels=manifest.channels,
        num_classes=manifest.num_classes,
        depth=depth,
        width=width,
        image_classes=0,
        spatial_dims=manifest.spatial_dims,
    )
    config = RunConfig(data=DataConfig(uri=str(data), batch_size=2, crop=16), model=model, out=str(out))
    run = RunDir(config.run_uri)
    run.create(config.model_dump(mode="json"), [], manifest, {"version": "0"})
    torch.manual_seed(0)
    network = build_model(model)
    for parameter in network.parameters():
        if parameter.ndim == 1:
            torch.nn.init.normal_(parameter, std=0.5)
    run.checkpoints.save(3, {MODEL_FILE: safetensors.torch.save(network.state_dict())})
    run.checkpoints.mark_best(3, 0.5)
    return run.uri
