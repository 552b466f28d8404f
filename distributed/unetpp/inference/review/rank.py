"""Rank images without masks by how certain a network is of them, and draw the least certain.

Shapes: H height, W width, C channels, K classes.
"""

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unetpp.core.errors import InputError
from unetpp.core.manifest import Manifest
from unetpp.data.images.resize import resize_image
from unetpp.data.preview import overlay, stretched
from unetpp.inference.colours import png
from unetpp.inference.masks.decide import Decision
from unetpp.inference.predictor import masks_from_logits, probabilities_from_logits
from unetpp.objective.certainty import CERTAINTIES, certainty

__all__ = ["Doubted", "LeastCertain", "Reviewer", "doubt_of", "require_pictures"]

_DIMMED = 0.35
_DOUBT = (255, 60, 30)


@dataclass(frozen=True)
class Doubted:
    """How certain a network is of an image; and, where it may be shown, PNGs of it."""

    name: str
    certainty: float
    measure: str
    """Of `CERTAINTIES`: `levels`, or `confidence` of a network of one level."""
    pictures: tuple[bytes, bytes, bytes] | None = None
    """As it is, with its mask, and with what is doubted."""

    def to_json(self) -> dict[str, Any]:
        """Plain values, for a journal."""
        drawn = self.pictures and [base64.b64encode(picture).decode() for picture in self.pictures]
        return {"certainty": self.certainty, "measure": self.measure, "pictures": drawn}

    @classmethod
    def from_json(cls, name: str, values: dict[str, Any]) -> "Doubted":
        """What `to_json` gave."""
        one, masked, doubt = map(base64.b64decode, values["pictures"] or ("", "", ""))
        drawn = (one, masked, doubt) if values["pictures"] else None
        return cls(name, values["certainty"], values["measure"], drawn)


class LeastCertain:
    """The `keep` least certain images of those that were offered, in whatever order; no more are held."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._held: list[Doubted] = []

    def offer(self, doubted: Doubted) -> bool:
        """Whether it is one of them so far; an image that is offered again counts once."""
        others = [each for each in self._held if each.name != doubted.name]
        self._held = sorted([*others, doubted], key=lambda each: (each.certainty, each.name))[: self._keep]
        return doubted in self._held

    def listed(self) -> list[Doubted]:
        """The least certain first."""
        return list(self._held)


def require_pictures(manifest: Manifest) -> None:
    """Refuse what a page cannot show.

    Raises:
        InputError: the network segments volumes.
    """
    if manifest.spatial_dims != 2 or manifest.slices is not None:
        raise InputError("--review shows pictures, this model segments volumes; leave it out")


class Reviewer:
    """Judges images while they are predicted, and draws those that may be among the least certain.

    Args:
        manifest: of the network's training data.
        decision: how masks are made, and so drawn.
        keep: how many are shown in the end. What is none of the least certain here is none of them all.
    """

    def __init__(self, manifest: Manifest, decision: Decision, keep: int) -> None:
        self._manifest, self._decision = manifest, decision
        self._least = LeastCertain(keep)

    @torch.inference_mode()
    def __call__(self, name: str, pixels: NDArray[np.generic], levels: Sequence[Tensor]) -> Doubted:
        """Judge an image.

        Args:
            name: of the image.
            pixels: H W C, as the network took it.
            levels: logits (1, K, H, W) of each level, shallow to deep; of one alone its confidence ranks.
        """
        manifest = self._manifest
        masks = masks_from_logits(levels[-1], manifest.task)
        told = dict(zip(CERTAINTIES, certainty(levels, masks, manifest.task)[0].tolist(), strict=True))
        measure = "confidence" if math.isnan(told["levels"]) else "levels"
        doubted = Doubted(name, told[measure], measure)
        if not self._least.offer(doubted):
            return doubted
        return Doubted(name, told[measure], measure, self._drawn(pixels, levels))

    def _drawn(self, pixels: NDArray[np.generic], levels: Sequence[Tensor]) -> tuple[bytes, bytes, bytes]:
        manifest = self._manifest
        if manifest.resized_px is not None:
            pixels = resize_image(pixels, manifest.resized_px, manifest.resized_px)
        shown = stretched(np.asarray(pixels), manifest)
        decided = masks_from_logits(self._decision.apply(levels[-1], manifest), manifest.task)
        doubt = doubt_of([probabilities_from_logits(level, manifest.task)[0] for level in levels])
        masked = overlay(shown, decided[0].cpu().numpy(), manifest)
        return png(shown), png(masked), png(_with_doubt(shown, doubt))


def doubt_of(chances: Sequence[Tensor]) -> NDArray[np.float32]:
    """float32 (H, W), 0 to 1: how far the shallower levels' probabilities (K, H, W) are from the deepest's.

    Of one level alone, how far its largest probability, or that of yes or no, is from certainty.
    """
    *others, deepest = (level.float().cpu() for level in chances)
    if not others:
        largest = deepest.amax(0) if len(deepest) > 1 else torch.maximum(deepest, 1 - deepest)[0]
        return np.asarray((1 - largest).numpy(), dtype=np.float32)
    apart = torch.stack([(level - deepest).abs().amax(0) for level in others]).mean(0)
    return np.asarray(apart.numpy(), dtype=np.float32)


def _with_doubt(shown: NDArray[np.uint8], doubt: NDArray[np.float32]) -> NDArray[np.uint8]:
    weight = doubt[..., None] / max(float(doubt.max()), 1e-6)
    blended = shown * _DIMMED * (1 - weight) + np.array(_DOUBT) * weight
    return np.asarray(blended.round(), dtype=np.uint8)
