"""First pass of packing: read every pair, decode its mask, look at the image's header.

What a pair's scan keeps is small; pixels are decoded again in the second pass.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unetpp.data.images.header import Header, SampleError
from unetpp.data.pack.discover import Pair, Rejection
from unetpp.data.pack.masks.annotated import open_mask
from unetpp.data.pack.options import PackOptions
from unetpp.data.pack.read_pair import read_header, read_values
from unetpp.data.pack.stats import value_counts
from unetpp.data.sources.boxes import strips_of
from unetpp.data.sources.channels import open_channels
from unetpp.data.sources.files import UnreadFileError, location
from unetpp.data.sources.raster import Raster

__all__ = ["ScannedPair", "pair_digest", "scan_pair"]


@dataclass(frozen=True, slots=True)
class ScannedPair:
    """A readable pair: header of its samples, digest of both files, and pixels per mask value."""

    pair: Pair
    header: Header
    counts: tuple[tuple[int, int], ...]
    digest: str

    @property
    def values(self) -> frozenset[int]:
        """Mask values that occur."""
        return frozenset(value for value, _ in self.counts)


def scan_pair(pair: Pair, options: PackOptions) -> ScannedPair | Rejection:
    """Summarise a pair, or say why it cannot be packed.

    Raises:
        StorageError: the storage cannot be used, which says nothing about the pair.
    """
    at = pair.images[0]
    try:
        with open_channels(pair.images) as image:
            header = read_header(image, options)
            at = pair.mask
            with open_mask(pair, image, options.classes) as mask:
                counts = _counts(image, mask, options)
                digest = pair_digest(image, mask)
    except UnreadFileError as error:
        return Rejection.of_unread(error)
    except SampleError as error:
        return Rejection(location(at), str(error))
    return ScannedPair(pair, header, tuple((int(v), int(counts[v])) for v in np.flatnonzero(counts)), digest)


def pair_digest(image: Raster, mask: Raster) -> str:
    """Of the content of both files."""
    return hashlib.sha256(image.digest + mask.digest).hexdigest()


def _counts(image: Raster, mask: Raster, options: PackOptions) -> NDArray[np.int64]:
    """Pixels per mask value where the mask tells one, int64 (256,)."""
    counts = np.zeros(256, np.int64)
    # Objects are not cut into strips: their borders depend on what lies around.
    for box in strips_of(mask) if options.instances is None else (None,):
        found = read_values(mask, image, options, box)
        counts += value_counts(found.values if found.valid is None else found.values[found.valid])
    return counts
