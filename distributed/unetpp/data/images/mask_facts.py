"""How a mask file stores its values: what tells class indices from grey levels beside the pixels."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["MaskFacts", "MaskPlane"]

MaskPlane = Literal["stored", "shown", "alpha"]
"""Which pixels of a mask file are its values: samples and palette indices, what viewers show, or alpha."""


@dataclass(frozen=True, slots=True)
class MaskFacts:
    """Properties of an encoded mask; `palette` is uint8 (entries, 3) or None."""

    container: str
    is_lossy: bool = False
    """Whether decoded values may differ from those that were saved."""
    bits: int = 8
    """Of one stored sample."""
    palette: NDArray[Any] | None = None
    has_alpha: bool = False

    @property
    def full(self) -> int:
        """The largest value that a sample of so many bits can have."""
        return int(2**self.bits - 1)

    def shown(self, stored: NDArray[Any]) -> NDArray[Any]:
        """Stored pixel values, (N, C), as viewers show them."""
        if self.palette is not None:
            known = np.zeros((256, 3), np.uint8)
            known[: len(self.palette)] = self.palette[:256]
            return np.asarray(known[stored[:, 0].astype(np.uint8)])
        return stored * (255 // self.full) if self.bits in (1, 2, 4) else stored
