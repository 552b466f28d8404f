"""First pass of packing: read every pair, decode its mask, look at the image's header.

What a pair's scan keeps is small; pixels are decoded again in the second pass.
"""

import hashlib
from dataclasses import dataclass

import numpy as np

from unetpp.data.images.decode import read_header, read_mask
from unetpp.data.images.header import Header, SampleError
from unetpp.data.pack.classes import ClassSpec
from unetpp.data.pack.discover import Pair, Rejection, UnreadFileError, location, read_file
from unetpp.data.pack.labels import to_values
from unetpp.data.pack.stats import value_counts

__all__ = ["ScannedPair", "scan_pair"]


@dataclass(frozen=True, slots=True)
class ScannedPair:
    """A readable pair: image header, digests of both files, and pixels per mask value."""

    pair: Pair
    header: Header
    counts: tuple[tuple[int, int], ...]
    digest: str

    @property
    def values(self) -> frozenset[int]:
        """Mask values that occur."""
        return frozenset(value for value, _ in self.counts)


def scan_pair(pair: Pair, spec: ClassSpec | None) -> ScannedPair | Rejection:
    """Summarise a pair, or say why it cannot be packed.

    Raises:
        StorageError: the storage cannot be used, which says nothing about the pair.
    """
    at = pair.image
    try:
        image = read_file(pair.image)
        header = read_header(image)
        at = pair.mask
        mask = read_file(pair.mask)
        values = to_values(read_mask(mask), spec)
        if values.shape != (header.height, header.width):
            raise SampleError(_other_size(values.shape, header))
    except UnreadFileError as error:
        return error.rejection()
    except SampleError as error:
        return Rejection(location(at), str(error))
    counts = value_counts(values)
    digest = hashlib.sha256(hashlib.sha256(image).digest() + hashlib.sha256(mask).digest()).hexdigest()
    return ScannedPair(pair, header, tuple((int(v), int(counts[v])) for v in np.flatnonzero(counts)), digest)


def _other_size(mask: tuple[int, ...], header: Header) -> str:
    said = f"mask is {mask[0]}x{mask[1]}, image {header.height}x{header.width} pixels"
    if mask != (header.width, header.height):
        return f"{said}; make them the same size"
    return (
        f"{said}: one is turned against the other, and an EXIF orientation is applied as viewers do; "
        "turn the mask to what is shown of the image, or remove the orientation from the image"
    )
