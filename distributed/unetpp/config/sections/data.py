"""Where samples come from, how they are batched and how they are augmented."""

from typing import Annotated

from pydantic import Field

from unetpp.config.sections.base import AUTO, NONE_IS_AUTO, Auto, Count, Fraction, Positive, Section

__all__ = ["AugmentConfig", "DataConfig"]


class DataConfig(Section):
    uri: str = ""
    """Packed dataset: a folder, `s3://bucket/prefix` or any fsspec URI."""
    batch_size: Count | Auto = AUTO
    """Samples per optimiser step over all workers, at least one for each."""
    crop: Annotated[int, Field(ge=2)] | Auto = AUTO
    """Side of the square training crop in pixels, model.stem_stride * 2**model.depth or more; smaller samples
    are padded."""
    crop_depth: Annotated[Count | None, NONE_IS_AUTO] = None
    """Planes of the training crop of a volume; decided from their spacing unless given."""
    foreground: Fraction | Auto = AUTO
    """Probability that a crop is centred on a pixel of a class drawn from those in the image."""
    repeat_threshold: Fraction = 0.0
    """Share of the train samples below which a class is rare: samples with it are drawn more often, by the
    square root of this over the class's share, in an epoch of as many samples as ever; 0 draws each once."""
    workers: Count = 2
    """Shard-reading tasks that run at once for each training worker."""
    window_bytes: int = Field(256 * 2**20, ge=2**20)
    """Decoded bytes inside which rows are shuffled; bounds the memory of one reading task."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Nodes that read, by Ray's labels, such as {ray.io/node-group: cpu}; empty reads where workers train."""
    cache_bytes: Annotated[int, Field(ge=0)] | Auto = AUTO
    """Limit in bytes of the shard cache that all workers and runs of a machine share; 0 switches it off."""
    cache_dir: str = ""
    """Folder of the cache on a disk of each machine; "" is one of the user's own below TMPDIR or /var/tmp."""
    drop_last: bool = False
    """Leave out the last, smaller batch of an epoch."""
    seed: int = Field(0, ge=0)
    """Seed of the sample order, the crops and the augmentation."""


class AugmentConfig(Section):
    """Random transforms of image and mask together, on the training device."""

    enabled: bool = True
    """Whether training samples are transformed at all; validation never is."""
    flip: Fraction = 0.5
    """Probability of a flip, drawn for each axis."""
    flip_vertical: Fraction | None = None
    """Probability of a flip upside down, where not that of `flip`: streets and people have an up."""
    rotate_deg: float = Field(30.0, ge=0, le=180)
    """Largest rotation to either side, in degrees."""
    scale: tuple[Positive, Positive] = (0.8, 1.25)
    """Range (low, high) of the zoom factor, drawn log-uniformly."""
    affine: Fraction = 0.5
    """Probability that a sample is rotated and scaled."""
    colour: Fraction = 0.2
    """Largest change of contrast (relative) and of each channel's brightness (in standard deviations)."""
    noise: float = Field(0.05, ge=0)
    """Largest standard deviation of added Gaussian noise, in image standard deviations."""
