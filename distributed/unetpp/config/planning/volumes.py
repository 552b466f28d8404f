"""Patch and pooling of volumes from sizes and spacing, after nnU-Net (Isensee et al. 2021); pure functions.

Axes: planes, rows, columns. A patch covers about the same distance along each axis; a level pools an axis
only while its voxels are less than twice as long as the shortest ones, so that thick slices stay apart.
"""

import math
from collections.abc import Sequence

from unetpp.core.manifest import Manifest

__all__ = ["patch_of", "pooling_of", "spacing_of"]

_PATCH_VOXELS = 64**3
"""With width 32 a patch of 96 cubed takes 10 GiB in training; most machines here are smaller."""
_THICK = 2.0
_MIN_SIDE_PX = 4
"""nnU-Net pools no axis below 4 voxels."""


def patch_of(manifest: Manifest) -> tuple[int, int]:
    """Planes, and rows and columns alike, of a patch: as long in millimetres along each axis as they fit."""
    planes, *in_plane = (int(_median(axis)) for axis in zip(*_shapes(manifest), strict=True))
    shorter = min(in_plane)
    thickness = spacing_of(manifest)
    ratio = math.sqrt(thickness[1] * thickness[2]) / thickness[0]
    # planes = ratio * side, planes * side**2 = the budget
    side = min((_PATCH_VOXELS / ratio) ** (1 / 3), shorter)
    deep = min(_PATCH_VOXELS / side**2, planes)
    side = min(math.sqrt(_PATCH_VOXELS / deep), shorter)
    return max(1, round(deep)), max(1, round(side))


def pooling_of(patch_px: Sequence[int], spacing: Sequence[float], depth: int) -> tuple[tuple[int, ...], ...]:
    """What each level 1..depth divides each axis by; rows and columns are always halved."""
    sides, lengths = list(map(float, patch_px)), list(spacing)
    levels: list[tuple[int, ...]] = []
    for _ in range(depth):
        finest = min(lengths)
        thin = lengths[0] < _THICK * finest and sides[0] / 2 >= _MIN_SIDE_PX
        factors = (2 if thin else 1, 2, 2)
        sides = [side / factor for side, factor in zip(sides, factors, strict=True)]
        lengths = [length * factor for length, factor in zip(lengths, factors, strict=True)]
        levels.append(factors)
    return tuple(levels)


def spacing_of(manifest: Manifest) -> tuple[float, ...]:
    """Millimetres between voxels; 1 along each axis where the files did not tell."""
    return manifest.voxel_mm or (1.0, 1.0, 1.0)


def _shapes(manifest: Manifest) -> list[tuple[int, ...]]:
    """Of every row."""
    return [tuple(map(int, size.split("x"))) for size, rows in manifest.sizes.items() for _ in range(rows)]


def _median(values: Sequence[int]) -> int:
    return sorted(values)[(len(values) - 1) // 2]
