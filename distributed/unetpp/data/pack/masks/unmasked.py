"""Images that have a label and no mask: none of their pixels counts."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from unetpp.data.images.header import Header
from unetpp.data.images.mask_facts import MaskFacts
from unetpp.data.pack.masks.evidence import MaskEvidence, gather
from unetpp.data.sources.raster import Box, Pixels, Raster, Space
from unetpp.data.sources.spacing import shape_of

__all__ = ["Unmasked", "image_label", "no_evidence"]


def image_label(sample_id: str, names: Sequence[str]) -> int | None:
    """The label that is a folder in a sample's path, as an index; None where there is none."""
    folders = sample_id.split("/")[:-1]
    return next((names.index(folder) for folder in folders if folder in names), None)


def no_evidence() -> MaskEvidence:
    """Of a mask that does not exist."""
    return gather(np.zeros((1, 1, 1), np.uint8), MaskFacts("none"), valid=np.zeros((1, 1), np.bool_))


@dataclass(frozen=True)
class Unmasked:
    """In place of the mask of an image that has none."""

    image: Raster

    @property
    def header(self) -> Header:
        return replace(self.image.header, channels=1, dtype="uint8")

    @property
    def space(self) -> Space:
        return self.image.space

    @property
    def digest(self) -> bytes:
        return hashlib.sha256(b"unmasked").digest()

    def read(self, box: Box | None = None) -> Pixels:
        size = shape_of(self.image.header)
        if box is not None:
            size = (*size[:-2], box.height, box.width)
        return Pixels(np.zeros((*size, 1), np.uint8), np.zeros(size, np.bool_))
