"""The yardstick: a plain single-process PyTorch loop, every sample in memory, nothing distributed.

Same network, objective, optimiser, schedule, augmentation, batch size and number of epochs as a unetpp
run, written the way one writes it by hand. Its data path costs nothing but slicing a tensor, which makes
it the hardest loop to keep up with on one machine.

    python benchmarks/plain_loop.py --data data/dsb2018-128 --epochs 12
"""

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from unetpp.config import RunConfig, detect_hardware, load_config, resolve
from unetpp.core.manifest import Manifest
from unetpp.core.storage import open_storage
from unetpp.data.dataset.manifests import load_manifest
from unetpp.data.dataset.parquet import iter_samples
from unetpp.models import build_model
from unetpp.models.normalise import Normalise
from unetpp.objective import build_objective
from unetpp.objective.metrics import SegmentationMetrics
from unetpp.training.loop.augment import apply_augment, draw_params
from unetpp.training.loop.optim import build_optimizer, build_schedule


def train_plain(
    config: RunConfig,
    after_epoch: Callable[[dict[str, float]], None] = lambda _: None,
    on_best: Callable[[Any], None] = lambda _: None,
) -> dict[str, Any]:
    """Train as configured and return pooled Dice on val and test of the best epoch, and images per second.

    `on_best` is called with the network whenever it is the best so far.
    """
    called_s = time.perf_counter()
    storage = open_storage(config.data.uri)
    manifest = load_manifest(storage)
    config, _ = resolve(config, manifest, detect_hardware())
    data = {split: load_split(storage, manifest, split) for split in ("train", "val", "test")}
    normalise = Normalise(manifest.channel_stats)

    torch.manual_seed(config.train.seed)
    model = build_model(config.model).to(memory_format=torch.channels_last)
    objective = build_objective(config.loss, manifest.task, model.supervised_levels)
    images, masks = data["train"]
    batch_size = int(config.data.batch_size)
    steps = -(-len(images) // batch_size)
    optimizer = build_optimizer(model, config.optim)
    schedule = build_schedule(optimizer, config.optim, steps * config.train.epochs)

    start_up_s = time.perf_counter() - called_s
    best: dict[str, Any] = {"val": -1.0}
    rates = []
    for epoch in range(config.train.epochs):
        started_s = time.perf_counter()
        order = torch.randperm(len(images))
        for step in range(steps):
            rows = order[step * batch_size : (step + 1) * batch_size]
            positions = np.arange(step * batch_size, step * batch_size + len(rows))
            params = draw_params(
                config.augment, seed=0, epoch=epoch, positions=positions, channels=manifest.channels
            )
            batch = normalise(images[rows].permute(0, 3, 1, 2))
            batch, targets = apply_augment(batch, masks[rows], params)
            optimizer.zero_grad(set_to_none=True)
            with _autocast(config):
                output = model(batch)
            objective(output, targets, None).mean().backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), config.train.clip)
            optimizer.step()
            schedule.step()
        train_s = time.perf_counter() - started_s
        rates.append(len(images) / train_s)
        with _autocast(config):
            val, _ = pooled_scores(model, manifest, normalise, *data["val"])
        if val > best["val"]:
            with _autocast(config):
                test, test_iou = pooled_scores(model, manifest, normalise, *data["test"])
            best = {"epoch": epoch + 1, "val": val, "test": test, "test_iou": test_iou}
            on_best(model)
        after_epoch({"val": val, "train_s": train_s})
    steady = rates[1:] or rates
    images_per_s = len(steady) / sum(1 / rate for rate in steady)
    return best | {"images_per_s": images_per_s, "start_up_s": start_up_s}


def _autocast(config: RunConfig) -> torch.autocast:
    return torch.autocast("cpu", torch.bfloat16, enabled=config.train.precision == "bf16")


def load_split(storage: Any, manifest: Manifest, split: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (N, H, W, C) and masks (N, H, W) of a split whose samples are of one size."""
    samples = list(iter_samples(storage, manifest, split))
    return (
        torch.from_numpy(np.stack([sample.image for sample in samples])),
        torch.from_numpy(np.stack([sample.mask for sample in samples])),
    )


@torch.no_grad()
def pooled_scores(
    model: Any, manifest: Manifest, normalise: Any, images: torch.Tensor, masks: torch.Tensor
) -> tuple[float, float]:
    """Dice and IoU over all pixels."""
    metrics = SegmentationMetrics(manifest.num_classes, model.supervised_levels, manifest.task)
    model.eval()
    for rows in torch.arange(len(images)).split(8):
        metrics.update(model(normalise(images[rows].permute(0, 3, 1, 2))), masks[rows])
    model.train()
    scores = metrics.compute([info.name for info in manifest.classes])
    return float(scores["dice"]), float(scores["iou"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True)
    parser.add_argument("overrides", nargs="*", help="key=value, as for unetpp train")
    arguments = parser.parse_args()
    print(json.dumps(train_plain(load_config(None, [f"data.uri={arguments.data}", *arguments.overrides]))))
