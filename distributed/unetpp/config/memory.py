"""An estimate of what one sample costs while training."""

from unetpp.config.model import ModelConfig

__all__ = ["level_widths", "sample_bytes"]

_COPIES = 8
"""Values held per output value of a node. Measured at 256 px, width 32, depth 4, batch norm: 6.7 saved
for the backward pass with deconvolution, 7.4 with bilinear upsampling; gradients in flight need the rest."""


def level_widths(model: ModelConfig) -> tuple[int, ...]:
    """Channels of levels 0..depth; `depth` must be decided."""
    if model.widths is not None:
        return model.widths
    return tuple(model.width * 2**level for level in range(int(model.depth) + 1))


def sample_bytes(model: ModelConfig, *, crop_px: int, bf16: bool) -> int:
    """Activation bytes of one square sample, forward and backward.

    Level i has depth - i + 1 nodes of widths[i] channels at crop / 2**i pixels a side.
    """
    widths = level_widths(model)
    values = 0.0
    for level, width in enumerate(widths):
        nodes = min(len(widths) - level, 2) if model.dense == "unet" else len(widths) - level
        values += nodes * width * (crop_px / 2**level) ** model.spatial_dims
    return int(values * _COPIES * (2 if bf16 else 4))
