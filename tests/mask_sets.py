"""Sets of masks as people have them: shapes drawn by a seed, encoded as any program would."""

import io
import struct
import zlib
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import tifffile
from PIL import Image

from unetpp.data.images.decode import read_mask, read_mask_facts
from unetpp.data.pack.masks.evidence import MaskEvidence, gather
from unetpp.data.pack.masks.meaning import MaskMeaning, understand
from unetpp.data.pack.masks.reading import MaskReading

SIZE_PX = 64
Encode = Callable[[np.ndarray], bytes]


@cache
def discs(seed: int, count: int, *, size_px: int = SIZE_PX, apart: bool = True) -> np.ndarray:
    """Ids 1 to `count` of round objects, H W uint16; those that find no room are left out."""
    random = np.random.default_rng(seed)
    rows, columns = np.indices((size_px, size_px))
    ids = np.zeros((size_px, size_px), np.uint16)
    placed = 0
    for _ in range(40 * count):
        if placed == count:
            break
        row, column = random.uniform(4, size_px - 4, 2)
        radius = random.uniform(2.5, 6)
        inside = (rows - row) ** 2 + (columns - column) ** 2 < radius**2
        near = (rows - row) ** 2 + (columns - column) ** 2 < (radius + 2) ** 2
        if not inside.any() or (apart and ids[near].any()):
            continue
        placed += 1
        ids[inside] = placed
    return ids


@cache
def regions(seed: int, classes: int, *, size_px: int = SIZE_PX) -> np.ndarray:
    """A scene without background: every pixel has the class of the nearest random point, H W uint8."""
    random = np.random.default_rng(seed)
    points = random.uniform(0, size_px, (3 * classes, 2))
    labels = random.permutation(np.repeat(np.arange(classes), 3))
    rows, columns = np.indices((size_px, size_px))
    distance = (rows[..., None] - points[:, 0]) ** 2 + (columns[..., None] - points[:, 1]) ** 2
    return labels[distance.argmin(axis=2)].astype(np.uint8)


@cache
def scattered(seed: int, classes: int, *, missing: float = 0.3) -> np.ndarray:
    """Rectangles of classes 1 to `classes` on background, several each, some classes missing, H W uint8."""
    random = np.random.default_rng(seed)
    mask = np.zeros((SIZE_PX, SIZE_PX), np.uint8)
    present = [value for value in range(1, classes + 1) if random.random() > missing]
    for value in random.permutation(np.repeat(present, 3)) if present else ():
        row, column = random.integers(0, SIZE_PX - 8, 2)
        height, width = random.integers(3, 9, 2)
        mask[row : row + height, column : column + width] = value
    return mask


def objects(seed: int, index: int) -> np.ndarray:
    """Ids of a varying number of objects; one mask of a set is empty."""
    return discs(100 * seed + index, 0 if index == 4 else 3 + (7 * seed + 5 * index) % 14)


def fore(seed: int, index: int) -> np.ndarray:
    return (objects(seed, index) > 0).astype(np.uint8)


def png(mask: np.ndarray, **options: object) -> bytes:
    return _saved(Image.fromarray(mask), "PNG", **options)


def png_bits(bits: int) -> Encode:
    """Grey PNG of 1, 2 or 4 bits with the mask's values as samples, as class indices are stored."""

    def encode(mask: np.ndarray) -> bytes:
        if bits == 1:
            return _saved(Image.fromarray(mask > 0), "PNG")
        return _grey_png(mask.astype(np.uint8), bits)

    return encode


def palette(colours: Sequence[tuple[int, int, int]], kind: str = "PNG") -> Encode:
    """A palette image whose index i has the i-th colour."""

    def encode(mask: np.ndarray) -> bytes:
        image = Image.fromarray(mask.astype(np.uint8), "P")
        image.putpalette([part for colour in colours for part in colour])
        return _saved(image, kind)

    return encode


def jpeg(mask: np.ndarray) -> bytes:
    return _saved(Image.fromarray(mask), "JPEG", quality=85)


def webp(*, lossless: bool) -> Encode:
    return lambda mask: _saved(
        Image.fromarray(np.dstack([mask] * 3) if mask.ndim == 2 else mask),
        "WEBP",
        lossless=lossless,
        quality=70,
    )


def bmp(mask: np.ndarray) -> bytes:
    return _saved(Image.fromarray(mask), "BMP")


def gif(mask: np.ndarray) -> bytes:
    return _saved(Image.fromarray(mask), "GIF")


def pgm(mask: np.ndarray) -> bytes:
    return _saved(Image.fromarray(mask), "PPM")


def tiff(mask: np.ndarray) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, mask)
    return stream.getvalue()


def npy(mask: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, mask)
    return stream.getvalue()


def read(files: list[bytes], **options) -> tuple[MaskMeaning, list[np.ndarray]]:
    """What packing takes the files for, and the masks that it would store."""
    evidence = {f"{index}.png": evidence_of(data) for index, data in enumerate(files)}
    meaning = understand(evidence, MaskReading(**options))
    return meaning, [
        meaning.labelling.apply(meaning.values(read_mask(data, plane=meaning.plane).values)) for data in files
    ]


def evidence_of(data: bytes) -> MaskEvidence:
    facts = read_mask_facts(data)
    return gather(
        read_mask(data).values, facts, read_mask(data, plane="alpha").values if facts.has_alpha else None
    )


def agreement(found: list[np.ndarray], truth: list[np.ndarray]) -> float:
    return float(np.mean([np.mean(one == other) for one, other in zip(found, truth, strict=True)]))


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def _grey_png(mask: np.ndarray, bits: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    height, width = mask.shape
    samples = 8 // bits
    padded = np.zeros((height, -(-width // samples) * samples), np.uint8)
    padded[:, :width] = mask
    shifts = np.arange(samples)[::-1] * bits
    packed = (padded.reshape(height, -1, samples) << shifts).sum(axis=2).astype(np.uint8)
    rows = np.hstack([np.zeros((height, 1), np.uint8), packed])
    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows.tobytes()))
        + chunk(b"IEND", b"")
    )
