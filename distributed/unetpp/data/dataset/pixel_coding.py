"""How shards hold pixels: each as its difference to the one on its left, which takes fewer bytes to send.

    raw           as they are: row by row, channels last
    left          planes of one channel each; a pixel is its difference to its left neighbour, modulo the
                  number of values; numbers of several bytes in zigzag order, all their lowest bytes first
    left-green    the same after the second of three channels was taken from the others

All codings keep the number of bytes, which parquet then compresses. Undoing one takes 0.5 ns a byte.

Shapes: H height, W width, C channels; volumes are images of Z H rows.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unetpp.core.errors import CorruptionError

__all__ = [
    "CODINGS",
    "COMPRESSION",
    "COMPRESSION_LEVEL",
    "RAW",
    "choose_coding",
    "decode_pixels",
    "encode_pixels",
]

COMPRESSION, COMPRESSION_LEVEL = "zstd", 1
"""Of shards. Level 3 takes twice the time of packing for 1 % fewer bytes of coded photographs."""
RAW, _LEFT, _LEFT_GREEN = "raw", "left", "left-green"
CODINGS = (RAW, _LEFT, _LEFT_GREEN)
_COLOURS = 3
_TRIED_BYTES = 2 * 2**20
_UNSIGNED = {1: np.uint8, 2: np.uint16, 4: np.uint32}
_SIGNED = {2: np.int16, 4: np.int32}


def choose_coding(images: Iterable[NDArray[Any]]) -> str:
    """The coding that makes these images (*size, C) least, judged by 2 MiB of the first ones."""
    tried: list[NDArray[Any]] = []
    left_bytes = _TRIED_BYTES
    for image in images:
        tried.append(_middle_rows(image, left_bytes))
        left_bytes -= tried[-1].nbytes
        if left_bytes <= 0:
            break
    fitting = CODINGS if tried[0].shape[-1] == _COLOURS else CODINGS[:2]
    return min(fitting, key=lambda coding: _compressed_bytes(tried, coding))


def _middle_rows(image: NDArray[Any], limit_bytes: int) -> NDArray[Any]:
    """(rows, W, C), at least one: the first and last planes of volumes are often empty."""
    rows = image.reshape(-1, *image.shape[-2:])
    count = min(len(rows), max(1, limit_bytes // max(rows[:1].nbytes, 1)))
    first = (len(rows) - count) // 2
    return rows[first : first + count]


def _compressed_bytes(images: Sequence[NDArray[Any]], coding: str) -> int:
    codec = pa.Codec(COMPRESSION, compression_level=COMPRESSION_LEVEL)
    return sum(codec.compress(encode_pixels(image, coding)).size for image in images)


def encode_pixels(image: NDArray[Any], coding: str) -> bytes:
    """The bytes of an image (*size, C), little-endian."""
    pixels = np.ascontiguousarray(image, image.dtype.newbyteorder("<"))
    if coding == RAW:
        return pixels.tobytes()
    itemsize = pixels.dtype.itemsize
    values = pixels.view(_UNSIGNED[itemsize]).reshape(-1, *pixels.shape[-2:])
    planes = np.moveaxis(values, -1, 0).copy()  # (C, rows, W)
    if coding == _LEFT_GREEN:
        planes[::2] -= planes[1]
    planes[..., 1:] -= planes[..., :-1].copy()
    if itemsize == 1:
        return planes.tobytes()
    return np.moveaxis(_zigzag(planes).view(np.uint8).reshape(*planes.shape, itemsize), -1, 0).tobytes()


def decode_pixels(coded: NDArray[np.uint8], out: NDArray[Any], coding: str) -> None:
    """Undo `encode_pixels`.

    Args:
        coded: its bytes.
        out: the image (*size, C) to fill, little-endian.

    Raises:
        CorruptionError: this release does not know the coding.
    """
    values = out.view(_UNSIGNED[out.dtype.itemsize]).reshape(-1, *out.shape[-2:])
    if coding == RAW:
        values[...] = coded.view(values.dtype).reshape(values.shape)
        return
    if coding not in CODINGS:
        raise CorruptionError(
            f"pixels are coded as {coding}, this release knows {', '.join(CODINGS)}; "
            "install a newer release or pack again"
        )
    # Takes 0.1 s to import, and datasets of older releases do not need it.
    import imagecodecs

    planes = np.moveaxis(values, -1, 0)
    # Summed up straight into the interleaved image: a pass over planes of its own takes as long again.
    imagecodecs.delta_decode(_joined(coded, planes.shape, values.dtype), axis=-1, out=planes)
    if coding == _LEFT_GREEN:
        # One by one: of both at once numpy makes loops over two channels, 10 times as slow.
        planes[0] += planes[1]
        planes[2] += planes[1]


def _joined(coded: NDArray[np.uint8], shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Differences from their bytes."""
    if dtype.itemsize == 1:
        return coded.reshape(shape)
    joined = np.empty(shape, dtype)
    parts = joined.view(np.uint8).reshape(*shape, dtype.itemsize)
    for index, part in enumerate(coded.reshape(dtype.itemsize, *shape)):
        parts[..., index] = part
    return _unzigzag(joined)


def _zigzag(values: NDArray[Any]) -> NDArray[Any]:
    """0, -1, 1, -2, ... become 0, 1, 2, 3, ...: of small differences the higher bytes are all 0."""
    signed = values.view(_SIGNED[values.dtype.itemsize])
    zigzag: NDArray[Any] = ((signed << 1) ^ (signed >> (8 * values.dtype.itemsize - 1))).view(values.dtype)
    return zigzag


def _unzigzag(values: NDArray[Any]) -> NDArray[Any]:
    signs = values & 1
    values >>= 1
    values ^= np.negative(signs, out=signs)
    return values
