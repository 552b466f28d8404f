"""Volumes cut into 2D slices.

A volume's axes run from inferior to superior, from anterior to posterior and from right to left.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unetpp.data.images.header import Header

__all__ = ["SLICINGS", "across", "slice_header", "slice_spacing", "slices_of", "volume_of"]

_AXIS = {"axial": 0, "coronal": 1, "sagittal": 2}
SLICINGS = tuple(_AXIS)
"""Directions a volume can be cut along."""


def across(slicing: str | None) -> int:
    """Axis of a volume that runs across the slices, that of axial ones where no direction is named."""
    return _AXIS[slicing or "axial"]


def slice_header(header: Header, slicing: str) -> Header:
    """Of a volume seen as a stack of slices: `planes` of them, each height x width."""
    sizes = [header.planes or 1, header.height, header.width]
    planes = sizes.pop(_AXIS[slicing])
    return replace(header, planes=planes, height=sizes[0], width=sizes[1])


def slice_spacing(spacing: Sequence[float], slicing: str) -> tuple[float, ...]:
    """Distances within a slice, from those of the volume's three axes."""
    return tuple(step for axis, step in enumerate(spacing) if axis != _AXIS[slicing])


def slices_of(volume: NDArray[Any], slicing: str) -> NDArray[Any]:
    """Z H W or Z H W C with the slices along the first axis; a view."""
    return np.moveaxis(volume, _AXIS[slicing], 0)


def volume_of(slices: NDArray[Any], slicing: str) -> NDArray[Any]:
    """What `slices_of` came from; a view."""
    return np.moveaxis(slices, 0, _AXIS[slicing])
