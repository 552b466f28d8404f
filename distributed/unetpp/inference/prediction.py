"""What a network says of one image, and how a notebook shows it.

Shapes: H height, W width, K classes.
"""

import base64
from dataclasses import dataclass, field
from html import escape

import numpy as np
from numpy.typing import NDArray

from unetpp.core.manifest import Manifest
from unetpp.inference.colours import indexed_png

__all__ = ["Prediction"]

_SHOWN_PX = 512


@dataclass(frozen=True, eq=False)
class Prediction:
    """uint8 (H, W) mask and float32 (K, H, W) probabilities.

    Mask values: 0 and 1 (binary), class index (multiclass), bit k for label k (multilabel).
    """

    mask: NDArray[np.uint8]
    probabilities: NDArray[np.float32]
    manifest: Manifest = field(repr=False)
    """Of the training data: what the values are called, and their colours."""

    def shares(self) -> dict[str, float]:
        """Part of the image's pixels in each class, by name."""
        kept = {"binary": self._bit, "multilabel": self._bit, "multiclass": self._index}
        is_class = kept[self.manifest.task]
        return {info.name: float(is_class(k).mean()) for k, info in enumerate(self.manifest.classes)}

    def __repr__(self) -> str:
        height, width = self.mask.shape
        shares = ", ".join(f"{name} {share:.1%}" for name, share in self.shares().items())
        return f"Prediction {height} x {width}: {shares}"

    def _repr_html_(self) -> str:
        picture = base64.b64encode(indexed_png(self.mask, self.manifest)).decode()
        rows = "".join(
            f"<tr><td style='background:rgb{info.colour};width:1em'></td>"
            f"<th style='text-align:left'>{escape(info.name)}</th><td>{share:.1%}</td></tr>"
            for info, share in zip(self.manifest.classes, self.shares().values(), strict=True)
        )
        return (
            f"<img alt='{escape(repr(self), quote=True)}' src='data:image/png;base64,{picture}' "
            f"style='image-rendering:pixelated;width:100%;max-width:{_SHOWN_PX}px'><table>{rows}</table>"
        )

    def _bit(self, k: int) -> NDArray[np.bool_]:
        return (self.mask & np.uint8(1 << k)).astype(bool)

    def _index(self, k: int) -> NDArray[np.bool_]:
        return np.equal(self.mask, k)
