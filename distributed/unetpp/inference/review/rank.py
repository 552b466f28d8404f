"""Rank images without masks by how certain a network is of them, and draw the least certain.

Shapes: H height, W width, C channels, K classes.
"""

import heapq
import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unetpp.core.errors import InputError, StorageError
from unetpp.core.manifest import Manifest
from unetpp.data.images.resize import resize_image
from unetpp.data.preview import overlay, stretched
from unetpp.data.sources.files import UnreadFileError
from unetpp.inference.colours import png
from unetpp.inference.engines.network import Network
from unetpp.inference.inputs import InputImage
from unetpp.inference.many.reading import as_trained, open_ahead
from unetpp.inference.predictor import masks_from_logits, probabilities_from_logits
from unetpp.objective.certainty import CERTAINTIES, certainty

__all__ = ["Doubted", "doubt_of", "least_certain", "require_pictures"]

_DIMMED = 0.35
_DOUBT = (255, 60, 30)


@dataclass(frozen=True)
class Doubted:
    """An image, and PNGs of it: as it is, with its mask, and with what is doubted."""

    image: InputImage
    certainty: float
    measure: str
    """Of `CERTAINTIES`: `levels`, or `confidence` of a network of one level."""
    picture: bytes
    masked: bytes
    doubt: bytes


def require_pictures(manifest: Manifest) -> None:
    """Refuse what a page cannot show.

    Raises:
        InputError: the network segments volumes.
    """
    if manifest.spatial_dims != 2 or manifest.slices is not None:
        raise InputError("--review shows pictures, this model segments volumes; leave it out")


@torch.inference_mode()
def least_certain(
    network: Network, device: torch.device, images: Iterable[InputImage], keep: int
) -> list[Doubted]:
    """The `keep` least certain images, the least certain first; no more are held.

    Images that cannot be read or are read by parts only are left out.

    Args:
        network: of pictures, with every level, see `network_of_run`; of one level alone its confidence
            ranks. Masks are drawn as it decides on them.
        device: of the network.
        images: pictures.
        keep: how many.
    """
    manifest = network.manifest
    kept: list[tuple[float, int, Doubted]] = []
    for number, (image, opened) in enumerate(open_ahead(images, manifest)):
        try:
            found = opened.result()
            if found.pixels is None:
                continue
            pixels = as_trained(image, found, manifest)
        except (InputError, StorageError, UnreadFileError):
            continue
        if manifest.resized_px is not None:
            pixels = resize_image(pixels, manifest.resized_px, manifest.resized_px)
        levels = _levels(network, device, pixels)
        masks = masks_from_logits(levels[-1], manifest.task)
        told = dict(zip(CERTAINTIES, certainty(levels, masks, manifest.task)[0].tolist(), strict=True))
        measure = "confidence" if math.isnan(told["levels"]) else "levels"
        key = (-told[measure], -number)
        if len(kept) == keep and key <= kept[0][:2]:
            continue
        shown = stretched(np.asarray(pixels), manifest)
        decided = masks_from_logits(network.decision.apply(levels[-1], manifest), manifest.task)
        doubt = doubt_of([probabilities_from_logits(level, manifest.task)[0] for level in levels])
        entry = Doubted(
            image,
            told[measure],
            measure,
            png(shown),
            png(overlay(shown, decided[0].cpu().numpy(), manifest)),
            png(_with_doubt(shown, doubt)),
        )
        (heapq.heappushpop if len(kept) == keep else heapq.heappush)(kept, (*key, entry))
    return [entry for *_, entry in sorted(kept, key=lambda item: item[:2], reverse=True)]


def doubt_of(chances: list[Tensor]) -> NDArray[np.float32]:
    """float32 (H, W), 0 to 1: how far the shallower levels' probabilities (K, H, W) are from the deepest's.

    Of one level alone, how far its largest probability, or that of yes or no, is from certainty.
    """
    *others, deepest = (level.float().cpu() for level in chances)
    if not others:
        largest = deepest.amax(0) if len(deepest) > 1 else torch.maximum(deepest, 1 - deepest)[0]
        return np.asarray((1 - largest).numpy(), dtype=np.float32)
    apart = torch.stack([(level - deepest).abs().amax(0) for level in others]).mean(0)
    return np.asarray(apart.numpy(), dtype=np.float32)


def _levels(network: Network, device: torch.device, pixels: NDArray[np.generic]) -> list[Tensor]:
    # (H, W, C) -> (1, C, H, W)
    batch = torch.from_numpy(np.array(pixels)).movedim(-1, 0)[None].to(device)
    return [level.float() for level in network.outputs(batch).levels]


def _with_doubt(shown: NDArray[np.uint8], doubt: NDArray[np.float32]) -> NDArray[np.uint8]:
    weight = doubt[..., None] / max(float(doubt.max()), 1e-6)
    blended = shown * _DIMMED * (1 - weight) + np.array(_DOUBT) * weight
    return np.asarray(blended.round(), dtype=np.uint8)
