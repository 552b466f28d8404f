"""Whether two volumes lie at the same place."""

import numpy as np

from unetpp.data.sources.raster import Raster

__all__ = ["apart_by_voxels"]


def apart_by_voxels(first: Raster, second: Raster) -> float:
    """Largest distance of a corner's places, in voxels of the first; 0 where one does not tell its place."""
    if not first.space.affine or not second.space.affine:
        return 0.0
    header = first.header
    last = [(size or 1) - 1 for size in (header.planes, header.height, header.width)]
    corners = np.array([[z, y, x, 1] for z in (0, last[0]) for y in (0, last[1]) for x in (0, last[2])]).T
    at_home = np.linalg.solve(np.array(first.space.affine), np.array(second.space.affine) @ corners)
    return float(np.abs(at_home - corners).max())
