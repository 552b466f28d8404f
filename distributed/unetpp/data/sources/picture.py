"""Pictures that are decoded whole from memory: PNG, JPEG, BMP, WebP, GIF, PGM, PPM, TIFF and NumPy files."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property

from unetpp.data.images.decode import read_header, read_image, read_mask, read_mask_facts
from unetpp.data.images.header import Header
from unetpp.data.images.mask_facts import MaskFacts, MaskPlane
from unetpp.data.images.pixels import Reading
from unetpp.data.sources.files import FileRef, read_file
from unetpp.data.sources.raster import Box, Pixels, Space, part_of

__all__ = ["LabelPicture", "open_image", "open_labels"]


class _Picture:
    """A file's bytes; pixels are decoded once, when first asked for."""

    space = Space()

    def __init__(self, ref: FileRef, decode: Callable[[bytes, Reading], Pixels]) -> None:
        self._data, self._reading, self._decode = read_file(ref), ref.reading, decode

    @cached_property
    def header(self) -> Header:
        return read_header(self._data, self._reading)

    @cached_property
    def digest(self) -> bytes:
        return hashlib.sha256(self._data).digest()

    def read(self, box: Box | None = None) -> Pixels:
        return part_of(self._whole, box)

    @cached_property
    def _whole(self) -> Pixels:
        return self._decode(self._data, self._reading)


class LabelPicture(_Picture):
    """A mask: how it stores its values, and the planes that may hold them."""

    def __init__(self, ref: FileRef) -> None:
        super().__init__(ref, read_mask)

    @cached_property
    def facts(self) -> MaskFacts:
        return read_mask_facts(self._data, self._reading)

    def plane(self, plane: MaskPlane) -> Pixels:
        """All pixels of a plane."""
        return self._whole if plane == "stored" else read_mask(self._data, self._reading, plane)


@contextmanager
def open_image(ref: FileRef) -> Iterator[_Picture]:
    """See `registry`."""
    yield _Picture(ref, read_image)


@contextmanager
def open_labels(ref: FileRef) -> Iterator[LabelPicture]:
    """See `registry`."""
    yield LabelPicture(ref)
