"""Few labelled images: a network from random weights against one on a pretrained encoder.

Of a folder of images and binary masks so many are for training, drawn at random, and so many others for the
score. Both networks have the same grid, decoder, crop, batch, augmentation and steps; a plain loop trains
them on one thread, and processor time is counted, which other work on the machine changes little.

    python benchmarks/transfer.py --images TILES/images --masks TILES/masks --work build/transfer
"""

import argparse
import json
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from common import markdown, unetpp
from plain_loop import load_split, pooled_scores

from unetpp.config import detect_hardware, load_config, resolve
from unetpp.core.storage import open_storage
from unetpp.data.dataset.manifests import load_manifest
from unetpp.models import build_model
from unetpp.models.initial import initial_weights
from unetpp.models.normalise import Normalise
from unetpp.objective import build_objective
from unetpp.training.loop.augment import apply_augment, draw_params
from unetpp.training.loop.optim import build_optimizer, build_schedule

_SETTINGS = (
    *("model.depth=4", "model.stem_stride=2", "model.widths=[16,24,40,64,96]"),
    *("data.batch_size=4", "data.crop=192", "optim.lr=0.002", "scale.gpu=false"),
)
_ENCODERS = ("none", "lite0")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--masks", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="folder for the data set, made anew")
    parser.add_argument("--train", type=int, default=20, help="images to learn from")
    parser.add_argument("--test", type=int, default=60, help="images to score")
    parser.add_argument("--side", type=int, default=192, help="pixels that every image is resized to")
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--seeds", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    dataset = _pack(arguments)
    found: dict[str, list[dict[str, float]]] = {encoder: [] for encoder in _ENCODERS}
    for seed in range(arguments.seeds):
        for encoder in _ENCODERS:
            found[encoder].append(_train(dataset, encoder, arguments.steps, seed))
            print(encoder, found[encoder][-1], flush=True)
    rows = [
        (f"model.encoder={encoder}", *(_mean(scores, name) for name in ("dice", "iou", "cpu_s")))
        for encoder, scores in found.items()
    ]
    print(markdown(("network", "Dice", "IoU", "CPU s of training"), rows))
    print(json.dumps(found))


def _pack(arguments: argparse.Namespace) -> str:
    shutil.rmtree(arguments.work, ignore_errors=True)
    masks = {path.stem: path for path in arguments.masks.iterdir()}
    images = sorted(path for path in arguments.images.iterdir() if path.stem in masks)
    random.Random(0).shuffle(images)
    splits = {"train": images[: arguments.train], "val": images[arguments.train :][: arguments.test]}
    options = []
    for split, paths in splits.items():
        for kind, files in (("images", paths), ("masks", [masks[path.stem] for path in paths])):
            folder = arguments.work / kind / split
            folder.mkdir(parents=True)
            for path in files:
                shutil.copy(path, folder)
            options += [f"--{kind}", f"{split}={folder}"]
    dataset = str(arguments.work / "dataset")
    unetpp("data", "pack", *options, "--out", dataset, "--size", str(arguments.side))
    return dataset


def _train(dataset: str, encoder: str, steps: int, seed: int) -> dict[str, float]:
    storage = open_storage(dataset)
    manifest = load_manifest(storage)
    overrides = [*_SETTINGS, f"data.uri={dataset}", f"model.encoder={encoder}", f"train.seed={seed}"]
    config, _ = resolve(load_config(None, overrides), manifest, detect_hardware())
    torch.manual_seed(seed)
    model = build_model(config.model).to(memory_format=torch.channels_last)
    model.load_state_dict(initial_weights(config.model, manifest, "").weights, strict=False)
    objective = build_objective(config.loss, manifest.task, model.supervised_levels)
    optimizer = build_optimizer(model, config.optim)
    schedule = build_schedule(optimizer, config.optim, steps)
    normalise = Normalise(manifest.channel_stats)
    images, masks = load_split(storage, manifest, "train")
    started_s = time.process_time()
    for step, rows in enumerate(_batches(len(images), int(config.data.batch_size), steps)):
        positions = np.arange(len(rows)) + step * len(rows)
        params = draw_params(
            config.augment, seed=seed, epoch=0, positions=positions, channels=manifest.channels
        )
        batch, targets = apply_augment(normalise(images[rows].permute(0, 3, 1, 2)), masks[rows], params)
        optimizer.zero_grad(set_to_none=True)
        objective(model(batch), targets, None).mean().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.train.clip)
        optimizer.step()
        schedule.step()
    cpu_s = time.process_time() - started_s
    dice, iou = pooled_scores(model, manifest, normalise, *load_split(storage, manifest, "val"))
    return {"dice": dice, "iou": iou, "cpu_s": cpu_s}


def _batches(rows: int, size: int, steps: int) -> Iterator[torch.Tensor]:
    order = torch.cat([torch.randperm(rows) for _ in range(-(-steps * size // rows))])
    return iter(order[: steps * size].split(size))


def _mean(scores: list[dict[str, float]], name: str) -> float:
    return sum(score[name] for score in scores) / len(scores)


if __name__ == "__main__":
    main()
