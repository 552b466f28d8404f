"""The nested network (DESIGN: UNet++ grid X[i][j])."""

from typing import Annotated, Literal

from pydantic import Field

from unetpp.config.sections.base import AUTO, NONE_IS_AUTO, Auto, Section

__all__ = ["ModelConfig"]


class ModelConfig(Section):
    in_channels: int | Auto = Field(AUTO)
    """Channels of an image, 1 or more; must equal the dataset's."""
    num_classes: int | Auto = Field(AUTO)
    """Logit channels, 1 or more: 1 for a binary task, one per class or label otherwise."""
    depth: int | Auto = Field(AUTO)
    """Number of down-samplings d, 1 to 6; the grid has (d+1)(d+2)/2 nodes."""
    width: int = Field(32, ge=1)
    """Channels of level 0; level i has width * 2**i unless `widths` is given."""
    widths: tuple[int, ...] | None = None
    """Channels of each level 0..depth, 1 or more, in place of `width`."""
    dilation: int | tuple[int, ...] = 1
    """Dilation of the 3x3 convolutions, 1 or more, one for all levels or one per level 0..depth."""
    dense: Literal["unet", "plus", "pp"] = "pp"
    """Skip wiring on the same blocks: U-Net, UNet+ or UNet++."""
    norm: Literal["none", "batch", "group", "instance"] = "group"
    """Group norm needs no batch statistics, so small batches and many workers do not change the result."""
    activation: Literal["relu", "leaky_relu", "silu", "gelu"] = "relu"
    """Non-linearity after each normalised convolution; leaky_relu has the slope 0.01 below 0."""
    upsample: Literal["bilinear", "deconv", "pixelshuffle"] = "bilinear"
    """How a level is doubled in size: interpolated, or learned by a transposed or a sub-pixel convolution."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Probability that a value is set to 0 after each activation while training, 0 to below 1; 0 is none."""
    attention: bool = False
    """Attention gates on the skip connections."""
    deep_supervision: bool = True
    """Train a head on every level 1..depth; without it only the deepest head exists."""
    spatial_dims: Annotated[Literal[2, 3] | None, NONE_IS_AUTO] = None
    """Dimensions of an image, 2 for pictures and slices, 3 for volumes; those of the dataset unless given."""
    pool: Annotated[tuple[tuple[int, ...], ...] | None, NONE_IS_AUTO] = None
    """What each level 1..depth divides each axis by, 1 or 2; 2 unless given, save along thick axes."""
    image_classes: int | Auto = Field(AUTO)
    """Outputs of the image-level classification head on the bottleneck; 0 leaves it out."""
