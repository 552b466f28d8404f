"""The part of a drawn image that is asked for."""

import numpy as np
from numpy.typing import NDArray

from unetpp.data.sources.raster import Box

__all__ = ["boxed"]


def boxed(objects: NDArray[np.int32], box: Box | None) -> NDArray[np.int32]:
    """Rows and columns of a box, all without one."""
    if box is None:
        return objects
    return objects[box.top : box.top + box.height, box.left : box.left + box.width]
