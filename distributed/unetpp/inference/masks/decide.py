"""What decides on the class of a pixel beside the largest logit: thresholds, and the least size of an object.

A decision returns logits again, whose signs or largest entries are the mask: it is scored, written and drawn
like the network's own. Shapes: N images, K classes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from unetpp.core.errors import ConfigError
from unetpp.core.manifest import Manifest
from unetpp.inference.objects.regions import is_background
from unetpp.objective.counts import positive_pixels

__all__ = ["NEVER", "PLAIN", "Decision", "decision_of", "listed_thresholds", "threshold_logits"]

NEVER = -1e4
"""A logit that no other is below."""


@dataclass(frozen=True)
class Decision:
    """How logits are read; the default is one half, or the largest class."""

    thresholds: tuple[float, ...] = ()
    """Probability above which a pixel has a label, of each; empty is one half. Where classes exclude each
    other, the largest logit less that of its class's threshold wins."""
    min_object_px: int = 0
    """Connected pixels of a class, by sides, that are fewer become what is next most probable there."""

    @property
    def is_plain(self) -> bool:
        """Whether it changes nothing."""
        return not self.thresholds and self.min_object_px <= 1

    def apply(self, logits: Tensor, manifest: Manifest) -> Tensor:
        """Logits (N, K, *size) of whole images to logits that say what was decided."""
        if self.is_plain:
            return logits
        decided = logits.float()
        if self.thresholds:
            shift = decided.new_tensor(threshold_logits(self.thresholds))
            decided = decided - shift.view(1, -1, *[1] * (logits.ndim - 2))
        if self.min_object_px > 1:
            small = _small(positive_pixels(decided, manifest.task), manifest, self.min_object_px)
            decided = decided.masked_fill(small, NEVER)
        return decided


PLAIN = Decision()
_HALF = 0.5


def threshold_logits(thresholds: Sequence[float]) -> list[float]:
    """Logits above which probabilities are above these."""
    return [math.log(each / (1 - each)) for each in thresholds]


def listed_thresholds(given: float | Sequence[float] | None) -> tuple[float, ...] | None:
    """As decisions take them; a single number is for all classes."""
    if given is None:
        return None
    return (given,) if isinstance(given, int | float) else tuple(given)


def decision_of(
    asked: tuple[float, ...] | None, kept: tuple[float, ...], min_object_px: int, manifest: Manifest
) -> Decision:
    """How a model's logits are read.

    Args:
        asked: thresholds, one for all classes or one for each; None for those that are kept with the model.
        kept: those; empty if there are none.
        min_object_px: see `Decision`.
        manifest: of the training data.

    Raises:
        ConfigError: one threshold where the largest class wins, out of range or not one for each class; or a
            size of objects that are told apart by their borders.
    """
    thresholds = kept if asked is None else asked
    if len(thresholds) == 1:
        if manifest.task == "multiclass":
            raise ConfigError(
                f"one threshold for all classes changes nothing where the largest class wins; give one for "
                f"each of {manifest.num_classes} classes, or leave it out"
            )
        thresholds *= manifest.num_classes
    decision = Decision(() if set(thresholds) == {_HALF} else thresholds, min_object_px)
    _check(decision, manifest)
    return decision


def _check(decision: Decision, manifest: Manifest) -> None:
    """Refuse what a task does not have, see `decision_of`."""
    if decision.thresholds:
        if len(decision.thresholds) != manifest.num_classes:
            raise ConfigError(
                f"thresholds={list(decision.thresholds)} must have one entry for each of "
                f"{manifest.num_classes} classes; give so many"
            )
        if not all(0 < threshold < 1 for threshold in decision.thresholds):
            raise ConfigError(
                f"thresholds={list(decision.thresholds)} must lie between 0 and 1; 0.5 is usual"
            )
    if decision.min_object_px < 0:
        raise ConfigError(f"the least size of an object is {decision.min_object_px}; it must be 0 or more")
    if decision.min_object_px > 1 and manifest.instances is not None:
        raise ConfigError(
            "a least size of objects counts connected pixels of a class; this model tells objects apart by "
            "their borders: filter the table of objects by area_px instead"
        )


def _small(positive: Tensor, manifest: Manifest, least_px: int) -> Tensor:
    """Which of the pixels (N, K, *size) are in objects of fewer pixels."""
    regions = positive.cpu().numpy()
    found = np.zeros_like(regions)
    for k in range(manifest.num_classes):
        if is_background(manifest, k):
            continue
        for n, region in enumerate(regions[:, k]):
            ids, _ = ndimage.label(region)
            small = np.bincount(ids.ravel()) < least_px
            small[0] = False
            found[n, k] = small[ids]
    return torch.from_numpy(found).to(positive.device)
