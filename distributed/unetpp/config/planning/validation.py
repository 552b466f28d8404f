"""How many epochs lie between validations, so that they take little of its time; a pure function."""

import math

from unetpp.config.run import WINDOW_OVERLAP, RunConfig
from unetpp.core.manifest import Manifest

__all__ = ["validation_interval"]

_SHARE = 0.1
"""Of the time of training steps at most."""
_STEP_PASSES = 3.0
"""Forward passes that a training step takes the time of: measured 3.4 to 3.6 on a CPU, in fp32 and bf16."""
_SMALL_PX = 2**18
"""Scored in less than a second by the default network on one CPU core."""


def validation_interval(config: RunConfig, manifest: Manifest, *, sweep: bool) -> tuple[int, str]:
    """Epochs between validations of a run that goes by epochs, and why.

    Args:
        config: all that decides crop, window and dilations is decided.
        manifest: the dataset.
        sweep: whether a rule stops trainings early by their validations.
    """
    if config.train.minutes > 0:
        return 1, "unused: a run of minutes validates where its time allows"
    rows = {name: split.rows for name, split in manifest.splits.items()}
    if not rows.get("val"):
        return 1, "unused without a validation split"
    vectors = len(config.model.shared_dilations) or 1
    scored_px = rows["val"] * vectors * _predicted_px(manifest, config.window_px)
    if scored_px <= _SMALL_PX:
        return 1, f"scoring {rows['val']} images takes less than a second"
    learned_px = rows["train"] * _STEP_PASSES * math.prod(config.patch_px)
    share = scored_px / learned_px
    epochs = max(1, math.ceil(round(share / _SHARE, 6)))
    told = f"scoring {rows['val']} images takes about {share:.0%} of the time of an epoch's steps"
    if sweep and config.tune.scheduler != "none":
        grace = config.tune.grace_epochs
        epochs = max(count for count in range(1, grace + 1) if grace % count == 0 and count <= epochs)
        return epochs, f"{told}; tune.scheduler asks after every multiple of {grace} epoch(s)"
    return epochs, told


def _predicted_px(manifest: Manifest, window_px: tuple[int, ...]) -> float:
    """Mean pixels of all windows of an image, as if each were as large as it may be."""
    total = 0.0
    for size, rows in manifest.sizes.items():
        sides = map(int, size.split("x"))
        total += rows * math.prod(map(_covered_px, sides, window_px))
    return total / sum(manifest.sizes.values())


def _covered_px(side_px: int, window_px: int) -> int:
    """Along one axis."""
    if side_px <= window_px:
        return side_px
    step = window_px * (1 - WINDOW_OVERLAP)
    return window_px * (math.ceil((side_px - window_px) / step) + 1)
