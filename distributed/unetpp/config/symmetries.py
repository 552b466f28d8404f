"""Mirrored and rotated views of an image that a training has seen; a prediction may average over them."""

from collections.abc import Iterator
from itertools import chain, combinations

import numpy as np
from pydantic import BaseModel, ConfigDict

from unetpp.config.sections.data import AugmentConfig

__all__ = ["Symmetries", "View"]

View = tuple[int, tuple[int, ...]]
"""Quarter turns of the last two axes, then the axes, counted from the last (-1), that are flipped."""


class Symmetries(BaseModel):
    """What the augmentation of a training allows; also written into exported files."""

    model_config = ConfigDict(frozen=True)

    flips: tuple[int, ...] = ()
    """Axes that were flipped, counted from the last: -1 left to right, -2 upside down, -3 planes."""
    quarter_turns: int = 0
    """How often rotations went by 90 degrees to either side: 0, 1 or 2."""

    @classmethod
    def of(cls, config: AugmentConfig, spatial_dims: int) -> "Symmetries":
        """Of a configuration; without augmentation there are none."""
        if not config.enabled:
            return cls()
        vertical = config.flip if config.flip_vertical is None else config.flip_vertical
        flipped = {-1: config.flip, -2: vertical, -3: config.flip if spatial_dims == 3 else 0}
        turns = int(config.rotate_deg // 90) if config.affine > 0 else 0
        return cls(flips=tuple(axis for axis, chance in flipped.items() if chance > 0), quarter_turns=turns)

    def views(self) -> tuple[View, ...]:
        """Every view that differs from the others, the image as it is first."""
        distinct: dict[bytes, View] = {}
        for turn in sorted({turn % 4 for turn in range(-self.quarter_turns, self.quarter_turns + 1)}):
            for axes in _subsets(self.flips):
                distinct.setdefault(np.flip(np.rot90(_CUBE, turn, (-2, -1)), axes).tobytes(), (turn, axes))
        return tuple(distinct.values())


_CUBE = np.arange(8).reshape(2, 2, 2)
"""Shows by its numbers how it was turned."""


def _subsets(axes: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    return chain.from_iterable(combinations(axes, number) for number in range(len(axes) + 1))
