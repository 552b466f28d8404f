"""Logits of images of any size, in one pass or through a sliding window."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from unetpp.models.output import ModelOutput

__all__ = ["predict_logits"]

_OVERLAP = 0.25
"""Fraction of a window that it shares with its neighbour."""
_WINDOWS_AT_ONCE = 4


def predict_logits(
    model: nn.Module,
    images: Tensor,
    *,
    window_px: int | Sequence[int],
    device: torch.device | None = None,
) -> ModelOutput:
    """Apply a `UNetPlusPlus`; images larger than the window are covered by overlapping ones.

    Windows are blended with Gaussian weights, all levels in the same pass; image-level logits are the mean
    over windows. The caller chooses eval mode, autocast and whether gradients are kept.

    Args:
        images: float (N, C, H, W), or (N, C, D, H, W) in 3D.
        window_px: side of the window, one for all axes or one for each.
        device: where the model is, if not where the images are; windows are blended where the images are.

    Returns:
        Levels (N, classes, *size), float32 where windows were blended.
    """
    size = images.shape[2:]
    window = [window_px] * len(size) if isinstance(window_px, int) else window_px
    if all(side <= limit for side, limit in zip(size, window, strict=True)):
        output: ModelOutput = model(images if device is None else images.to(device))
        return output
    from monai.inferers.utils import sliding_window_inference  # takes seconds to import

    image_logits: list[Tensor] = []

    def predict_window(windows: Tensor) -> tuple[Tensor, ...]:
        output: ModelOutput = model(windows)
        if output.image is not None:
            image_logits.append(output.image.float().to(images.device))
        return tuple(level.float() for level in output.levels)

    levels = sliding_window_inference(
        images,
        [min(limit, side) for side, limit in zip(size, window, strict=True)],
        _WINDOWS_AT_ONCE,
        predict_window,
        overlap=_OVERLAP,
        mode="gaussian",
        sw_device=images.device if device is None else device,
        device=images.device,
    )
    levels = (levels,) if isinstance(levels, Tensor) else tuple(levels)
    if not image_logits:
        return ModelOutput(levels, None)
    # Windows come image by image: (N * windows, classes) -> (N, windows, classes)
    return ModelOutput(
        levels, torch.cat(image_logits).view(len(images), -1, image_logits[0].shape[1]).mean(1)
    )
