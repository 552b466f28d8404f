"""First pass of packing: read every pair, decode its mask, look at the image's header.

What a pair's scan keeps is small; pixels are decoded again in the second pass.
"""

import hashlib
import logging
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unetpp.data.images.header import Header, SampleError, UndecidedError
from unetpp.data.pack.discover import Pair, Rejection
from unetpp.data.pack.masks.annotated import open_mask
from unetpp.data.pack.options import PackOptions
from unetpp.data.pack.read_pair import both_valid, by_windows, read_header, read_valid, read_values
from unetpp.data.pack.stats import value_counts
from unetpp.data.sources.boxes import strips_of
from unetpp.data.sources.channels import open_channels
from unetpp.data.sources.files import UnreadFileError, location
from unetpp.data.sources.raster import Drawn, Raster

__all__ = ["ScannedPair", "pair_digest", "say_notes", "scan_pair"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ScannedPair:
    """A readable pair: header of its samples, the digest of its files, and pixels per mask value."""

    pair: Pair
    header: Header
    counts: tuple[tuple[int, int], ...]
    digest: str
    lacks_data: bool = False
    """Whether some pixels hold no data in the image or in the mask; they are not among the counts."""

    @property
    def values(self) -> frozenset[int]:
        """Mask values that occur."""
        return frozenset(value for value, _ in self.counts)


def scan_pair(pair: Pair, options: PackOptions) -> ScannedPair | Rejection:
    """Summarise a pair, or say why it cannot be packed.

    Raises:
        StorageError: the storage cannot be used, which says nothing about the pair.
        UndecidedError: an option must say which of two meanings a file has.
    """
    at = pair.images[0]
    try:
        with open_channels(pair.images) as image:
            header = read_header(image, options)
            at = pair.mask
            with open_mask(pair, image, options.classes) as mask:
                counts, lacks_data = _counts(image, mask, options)
                digest = pair_digest(image, mask)
    except UnreadFileError as error:
        return Rejection.of_unread(error)
    except SampleError as error:
        return Rejection(location(at), str(error))
    except UndecidedError as error:
        raise UndecidedError(f"{location(at)}: {error}") from error
    present = tuple((int(value), int(counts[value])) for value in np.flatnonzero(counts))
    return ScannedPair(pair, header, present, digest, lacks_data)


def pair_digest(image: Raster, mask: Raster) -> str:
    """Of the content of both files."""
    return hashlib.sha256(image.digest + mask.digest).hexdigest()


def _counts(image: Raster, mask: Raster, options: PackOptions) -> tuple[NDArray[np.int64], bool]:
    """Pixels per mask value where image and mask hold data, int64 (256,); whether some hold none."""
    counts, lacks_data = np.zeros(256, np.int64), False
    strips = strips_of(image) if by_windows(image, options) and not isinstance(mask, Drawn) else [None]
    for box in strips:
        valid = read_valid(image, options, box)
        values, mask_valid = read_values(mask, image, options, box)
        counted = both_valid(valid, mask_valid)
        counts += value_counts(values if counted is None else values[counted])
        lacks_data = lacks_data or (counted is not None and not counted.all())
    return counts, lacks_data


def say_notes(scanned: Iterable[ScannedPair]) -> None:
    """Log what was understood of the images beyond their plain pixels, each thing once."""
    images: dict[str, list[str]] = {}
    for item in scanned:
        for note in item.header.notes:
            images.setdefault(note, []).append(item.pair.sample_id)
    for note, samples in images.items():
        logger.info("%d images, as %s: %s", len(samples), samples[0], note)
