"""Any order and direction of a volume's axes to the canonical one, and back exactly.

Canonical axes run from inferior to superior, from anterior to posterior and from right to left.
World coordinates are millimetres right, anterior, superior (RAS).
"""

from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Orientation", "orientation_of"]

_WORLD_AXIS = (2, 1, 0)
"""Of RAS, along each canonical axis."""
_SIGN = (1.0, -1.0, -1.0)
"""Of that coordinate, along each canonical axis."""


@dataclass(frozen=True)
class Orientation:
    """Canonical axis k is the stored axis `axes[k]`, read backwards where `flipped[k]`."""

    axes: tuple[int, int, int]
    flipped: tuple[bool, bool, bool]

    def to_canonical(self, stored: NDArray[Any]) -> NDArray[Any]:
        """A view of an array whose first three axes are stored ones."""
        rest = range(3, stored.ndim)
        return np.flip(stored.transpose(*self.axes, *rest), self._flipped_axes())

    def to_stored(self, canonical: NDArray[Any]) -> NDArray[Any]:
        """The inverse of `to_canonical`, a view."""
        rest = range(3, canonical.ndim)
        back = tuple(int(axis) for axis in np.argsort(self.axes))
        return np.flip(canonical, self._flipped_axes()).transpose(*back, *rest)

    def shape(self, stored: tuple[int, ...]) -> tuple[int, int, int]:
        """Canonical sizes of stored ones."""
        planes, height, width = (stored[axis] for axis in self.axes)
        return planes, height, width

    def affine(self, stored: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64]:
        """4 x 4 from canonical indices to the world, from that of the stored axes and their sizes."""
        indices = np.zeros((4, 4))
        indices[3, 3] = 1
        for canonical, (axis, flip) in enumerate(zip(self.axes, self.flipped, strict=True)):
            indices[axis, canonical] = -1 if flip else 1
            indices[axis, 3] = shape[axis] - 1 if flip else 0
        return np.asarray(stored @ indices)

    def _flipped_axes(self) -> tuple[int, ...]:
        return tuple(axis for axis, flip in enumerate(self.flipped) if flip)


def orientation_of(affine: NDArray[np.float64]) -> Orientation:
    """The axes that lie closest to the canonical ones.

    Args:
        affine: 4 x 4 from stored indices to the world; its columns are not zero.
    """
    columns = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    axes = max(permutations(range(3)), key=lambda order: _alignment(columns, order))
    flipped = tuple(
        bool(columns[world, axis] * sign < 0)
        for axis, world, sign in zip(axes, _WORLD_AXIS, _SIGN, strict=True)
    )
    return Orientation((axes[0], axes[1], axes[2]), (flipped[0], flipped[1], flipped[2]))


def _alignment(columns: NDArray[np.float64], order: tuple[int, ...]) -> float:
    return float(sum(abs(columns[world, axis]) for world, axis in zip(_WORLD_AXIS, order, strict=True)))
