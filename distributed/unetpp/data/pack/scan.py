"""First pass of packing: read every pair, decode its mask, look at the image's header.

What a pair's scan keeps is small; pixels are decoded again in the second pass.
"""

import hashlib
import logging
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from unetpp.data.images.header import Header, SampleError, UndecidedError
from unetpp.data.pack.discover import Pair, Rejection
from unetpp.data.pack.options import PackOptions
from unetpp.data.pack.read_pair import both_valid, read_header, read_valid, read_values
from unetpp.data.pack.stats import value_counts
from unetpp.data.sources.channels import open_channels
from unetpp.data.sources.files import UnreadFileError, location
from unetpp.data.sources.registry import open_labels

__all__ = ["ScannedPair", "say_notes", "scan_pair"]

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
            valid = read_valid(image, options)
            at = pair.mask
            with open_labels(pair.mask) as mask:
                values, mask_valid = read_values(mask, image, options)
                digest = hashlib.sha256(image.digest + mask.digest).hexdigest()
    except UnreadFileError as error:
        return Rejection.of_unread(error)
    except SampleError as error:
        return Rejection(location(at), str(error))
    except UndecidedError as error:
        raise UndecidedError(f"{location(at)}: {error}") from error
    counted = both_valid(valid, mask_valid)
    counts = value_counts(values if counted is None else values[counted])
    present = tuple((int(value), int(counts[value])) for value in np.flatnonzero(counts))
    lacks_data = counted is not None and not counted.all()
    return ScannedPair(pair, header, present, digest, lacks_data)


def say_notes(scanned: Iterable[ScannedPair]) -> None:
    """Log what was understood of the images beyond their plain pixels, each thing once."""
    images: dict[str, list[str]] = {}
    for item in scanned:
        for note in item.header.notes:
            images.setdefault(note, []).append(item.pair.sample_id)
    for note, samples in images.items():
        logger.info("%d images, as %s: %s", len(samples), samples[0], note)
