"""First pass of packing: read every pair, decode its mask, look at the image's header.

What a pair's scan keeps is small; pixels are decoded again in the second pass.
"""

import hashlib
import logging
from collections.abc import Iterable
from dataclasses import dataclass

from unetpp.data.images.header import Header, SampleError, UndecidedError
from unetpp.data.pack.discover import Pair, Rejection
from unetpp.data.pack.masks.annotated import open_mask
from unetpp.data.pack.masks.evidence import MaskEvidence, combine
from unetpp.data.pack.masks.unmasked import no_evidence
from unetpp.data.pack.options import PackOptions
from unetpp.data.pack.read_pair import by_windows, read_evidence, read_header
from unetpp.data.sources.boxes import strips_of
from unetpp.data.sources.channels import open_channels
from unetpp.data.sources.files import UnreadFileError, location
from unetpp.data.sources.raster import Drawn, Raster
from unetpp.data.sources.registry import format_of_ref

__all__ = ["LabelledPair", "ScannedPair", "pair_digest", "say_notes", "scan_pair"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ScannedPair:
    """A readable pair: header of its samples, what its mask holds, and the digest of its files."""

    pair: Pair
    header: Header
    mask: MaskEvidence
    digest: str
    lacks_data: bool = False
    """Whether some pixels hold no data in the image or in the mask; they are not among those counted."""


@dataclass(frozen=True, slots=True)
class LabelledPair:
    """A pair whose mask's meaning is settled, with its pixels per label."""

    pair: Pair
    header: Header
    counts: tuple[tuple[int, int], ...]
    digest: str

    @property
    def labels(self) -> frozenset[int]:
        """Labels that occur."""
        return frozenset(label for label, _ in self.counts)


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
                found, lacks_data = _look(image, mask, pair, options)
                digest = pair_digest(image, mask)
    except UnreadFileError as error:
        return Rejection.of_unread(error)
    except SampleError as error:
        return Rejection(location(at), str(error))
    except UndecidedError as error:
        raise UndecidedError(f"{location(at)}: {error}") from error
    return ScannedPair(pair, header, found, digest, lacks_data)


def pair_digest(image: Raster, mask: Raster) -> str:
    """Of the content of both files."""
    return hashlib.sha256(image.digest + mask.digest).hexdigest()


def _look(image: Raster, mask: Raster, pair: Pair, options: PackOptions) -> tuple[MaskEvidence, bool]:
    """What the mask holds where image and mask hold data; whether some pixels hold none."""
    if pair.is_unmasked:
        return no_evidence(), True
    container = getattr(format_of_ref(pair.mask), "name", "file")
    strips = strips_of(image) if by_windows(image, options) and not isinstance(mask, Drawn) else [None]
    parts, lacks_data = [], False
    for box in strips:
        found, counted = read_evidence(mask, image, options, container, box)
        parts.append(found)
        lacks_data = lacks_data or (counted is not None and not counted.all())
    return combine(parts), lacks_data


def say_notes(scanned: Iterable[ScannedPair]) -> None:
    """Log what was understood of the images beyond their plain pixels, each thing once."""
    images: dict[str, list[str]] = {}
    for item in scanned:
        for note in item.header.notes:
            images.setdefault(note, []).append(item.pair.sample_id)
    for note, samples in images.items():
        logger.info("%d images, as %s: %s", len(samples), samples[0], note)
