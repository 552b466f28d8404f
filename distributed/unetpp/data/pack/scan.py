"""First pass of packing: read every pair, decode its mask, look at the image's header.

What a pair's scan keeps is small; pixels are decoded again in the second pass.
"""

import hashlib
from dataclasses import dataclass

import numpy as np

from unetpp.data.images.header import Header, SampleError
from unetpp.data.pack.discover import Pair, Rejection
from unetpp.data.pack.masks.annotated import open_mask
from unetpp.data.pack.options import PackOptions
from unetpp.data.pack.read_pair import read_header, read_labels
from unetpp.data.pack.stats import value_counts
from unetpp.data.sources.files import UnreadFileError, location
from unetpp.data.sources.registry import open_image

__all__ = ["ScannedPair", "scan_pair"]


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
    at = pair.image
    try:
        with open_image(pair.image) as image:
            header, image_digest = read_header(image, options), image.digest
            at = pair.mask
            with open_mask(pair, image, options.classes) as mask:
                values, mask_digest = read_labels(mask, header, options).values, mask.digest
    except UnreadFileError as error:
        return Rejection.of_unread(error)
    except SampleError as error:
        return Rejection(location(at), str(error))
    counts = value_counts(values)
    digest = hashlib.sha256(image_digest + mask_digest).hexdigest()
    return ScannedPair(pair, header, tuple((int(v), int(counts[v])) for v in np.flatnonzero(counts)), digest)
