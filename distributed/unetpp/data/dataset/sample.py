"""One sample of a dataset, decoded."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unetpp.data.sources.raster import Box, Space

__all__ = ["Sample"]


@dataclass(frozen=True)
class Sample:
    """One decoded row: `image` H W C, `mask` H W uint8; volumes have planes in front of H."""

    sample_id: str
    group: str
    image: NDArray[Any]
    mask: NDArray[np.uint8]
    label: int | None
    source: str
    source_size_px: tuple[int, int]
    """Height and width of the source file's pixels or planes, before tiling or resizing."""
    tile: Box | None = None
    space: Space | None = None
    """Where the source file's pixels lie in the world, if it says so."""
    instances: NDArray[np.int32] | None = None
    """H W: whose pixel it is, 0 for no object; only in datasets of objects."""
    valid: NDArray[np.bool_] | None = None
    """False where the image holds no data, H W; known while packing only, the mask is ignored there."""

    @property
    def decoded_bytes(self) -> int:
        return int(self.image.nbytes + self.mask.nbytes)
