"""Pictures that are decoded whole from memory: PNG, JPEG, BMP, WebP, TIFF and NumPy files."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from numpy.typing import NDArray

from unetpp.data.images.decode import read_header, read_image, read_mask
from unetpp.data.images.header import Header
from unetpp.data.sources.files import FileRef, read_file
from unetpp.data.sources.raster import Box, Pixels, Space

__all__ = ["open_image", "open_labels"]


class _Picture:
    """A file's bytes; pixels are decoded once, when first asked for."""

    space = Space()

    def __init__(self, data: bytes, decode: Callable[[bytes], NDArray[Any]]) -> None:
        self._data, self._decode = data, decode

    @cached_property
    def header(self) -> Header:
        return read_header(self._data)

    @cached_property
    def digest(self) -> bytes:
        return hashlib.sha256(self._data).digest()

    def read(self, box: Box | None = None) -> Pixels:
        if box is None:
            return Pixels(self._whole)
        return Pixels(self._whole[box.slices])

    @cached_property
    def _whole(self) -> NDArray[Any]:
        return self._decode(self._data)


@contextmanager
def open_image(ref: FileRef) -> Iterator[_Picture]:
    """See `registry`."""
    yield _Picture(read_file(ref), read_image)


@contextmanager
def open_labels(ref: FileRef) -> Iterator[_Picture]:
    """See `registry`."""
    yield _Picture(read_file(ref), read_mask)
