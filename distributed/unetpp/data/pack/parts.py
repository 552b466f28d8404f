"""The parts of a pair that become samples: the whole of it, a slice of a volume, a tile.

A raster that reads by windows is read tile by tile; any other is decoded once for all its parts.

Arrays: image (Z) H W C, mask (Z) H W.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unetpp.core.manifest import IGNORE
from unetpp.data.dataset.contents import image_digest, strips_digest
from unetpp.data.images.channels import match_channels
from unetpp.data.images.header import SampleError
from unetpp.data.pack.masks.annotated import open_mask
from unetpp.data.pack.options import PackOptions
from unetpp.data.pack.read_pair import (
    Valid,
    both_valid,
    by_windows,
    read_ids,
    read_labels,
    read_pixels,
    read_space,
)
from unetpp.data.pack.scan import LabelledPair, pair_digest
from unetpp.data.pack.shard_plan import PlannedRow, Settled
from unetpp.data.sources.boxes import strips_of
from unetpp.data.sources.channels import open_channels
from unetpp.data.sources.files import FileRef
from unetpp.data.sources.raster import Box, Drawn, Pixels, Raster, Space
from unetpp.data.sources.spacing import shape_of

__all__ = ["Part", "decode_pair", "open_parts"]


@dataclass(frozen=True)
class Part:
    """Pixels of a sample and its stored mask; `digest` is that of the whole image or slice."""

    image: NDArray[Any]
    mask: NDArray[np.uint8]
    valid: Valid
    digest: str
    space: Space
    ids: NDArray[np.int32] | None = None
    """H W: whose pixel it is, where masks are of objects."""


@contextmanager
def open_parts(
    source: LabelledPair, settled: Settled, options: PackOptions
) -> Iterator[Callable[[PlannedRow], Part | None]]:
    """Open a pair; what is given reads one planned part, or says by None that a tile holds no data.

    Raises:
        SampleError: a file changed since it was scanned, or is damaged.
        UnreadFileError: it is missing or refused.
    """
    with (
        open_channels(source.pair.images) as image,
        open_mask(source.pair, image, options.classes) as mask,
    ):
        if pair_digest(image, mask) != source.digest:
            raise SampleError("the file changed while it was packed; pack again")
        pair = _Pair(source, settled, options, image, mask)
        if options.tile_px is not None and by_windows(image, options) and not isinstance(mask, Drawn):
            yield pair.read_window
        else:
            yield _Whole(pair).cut


def decode_pair(
    source: LabelledPair, settled: Settled, options: PackOptions
) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """The whole image (Z) H W C of a pair and its stored mask.

    Raises:
        SampleError: it changed since it was looked at, or cannot be decoded.
        UnreadFileError: a file is missing or refused.
    """
    with (
        open_channels(source.pair.images) as image,
        open_mask(source.pair, image, options.classes) as mask,
    ):
        pair = _Pair(source, settled, options, image, mask)
        pixels = pair.pixels(None)
        return pixels.values, pair.stored_mask(pixels.valid, None, pair.ids())


@dataclass(frozen=True)
class _Pair:
    source: LabelledPair
    settled: Settled
    options: PackOptions
    image: Raster
    mask: Raster

    def read_window(self, row: PlannedRow) -> Part | None:
        assert row.box is not None
        pixels = self.pixels(row.box)
        if pixels.valid is not None and not pixels.valid.any():
            return None
        digest = _streamed_digest(self.source.pair.images, self.source.digest, self.settled.channels)
        space = self.image.space.of_part(row.box.top, row.box.left)
        return Part(pixels.values, self.stored_mask(pixels.valid, row.box), pixels.valid, digest, space)

    def pixels(self, box: Box | None) -> Pixels:
        """(Z) H W C with the dataset's channels."""
        settled = self.settled
        pixels = read_pixels(self.image, self.options, box)
        values = match_channels(pixels.values, settled.channels)
        if (values.shape, values.dtype.name) != ((*self._size(box), settled.channels), settled.dtype):
            raise SampleError(f"pixels {values.shape} {values.dtype.name} differ from the file's header")
        return Pixels(values, pixels.valid)

    def _size(self, box: Box | None) -> tuple[int, ...]:
        """(Z) H W of the pair, or of a box of it."""
        size = shape_of(self.source.header)
        return size if box is None else (*size[:-2], box.height, box.width)

    def ids(self) -> NDArray[np.int32] | None:
        """(Z) H W: whose pixel it is, where masks are of objects."""
        return None if self.options.instances is None else read_ids(self.mask, self.image, self.options)

    def stored_mask(
        self, valid: Valid, box: Box | None, ids: NDArray[np.int32] | None = None
    ) -> NDArray[np.uint8]:
        """(Z) H W; IGNORE where image or mask hold nothing."""
        if self.source.pair.is_unmasked:
            return np.full(self._size(box), IGNORE, np.uint8)
        meaning = self.settled.meaning
        values, mask_valid = read_labels(self.mask, self.image, self.options, meaning, box, ids=ids)
        stored = self.settled.labelling.apply(values)
        counted = both_valid(valid, mask_valid)
        if counted is not None:
            stored[~counted] = IGNORE
        return stored


class _Whole:
    """A pair decoded once."""

    def __init__(self, pair: _Pair) -> None:
        pixels = pair.pixels(None)
        self._image, self._valid = pixels.values, pixels.valid
        self._ids = pair.ids()
        self._mask = pair.stored_mask(pixels.valid, None, self._ids)
        self._space = read_space(pair.image, pair.options)
        self._digests: dict[int | None, str] = {}

    def cut(self, row: PlannedRow) -> Part | None:
        index = slice(None) if row.plane is None else row.plane
        image, mask = self._image[index], self._mask[index]
        valid = None if self._valid is None else self._valid[index]
        ids = None if self._ids is None else self._ids[index]
        if row.plane not in self._digests:
            self._digests[row.plane] = image_digest(image)
        space = self._space
        if row.box is not None:
            image, mask = image[row.box.slices].copy(), mask[row.box.slices].copy()
            valid = None if valid is None else valid[row.box.slices]
            ids = None if ids is None else ids[row.box.slices]
            space = space.of_part(row.box.top, row.box.left)
            if valid is not None and not valid.any():
                return None
        return Part(image, mask, valid, self._digests[row.plane], space, ids)


@lru_cache(maxsize=256)
def _streamed_digest(refs: tuple[FileRef, ...], digest: str, channels: int) -> str:  # noqa: ARG001  # of one content
    """`image_digest` of an image that is not held whole, as its file holds it; read once in each process."""
    with open_channels(refs) as raster:
        header = raster.header
        strips = (match_channels(raster.read(box).values, channels) for box in strips_of(raster))
        return strips_digest((header.height, header.width, channels), header.dtype, strips)
