"""Image files to arrays: the format is told by the first bytes, never by the name.

Rules: alpha is dropped, palettes of images become RGB, EXIF orientation is applied, grey stays one channel,
TIFF and NPY may have any number of channels. Images come out as uint8, uint16 or float32, H W C, volumes in
TIFF as Z H W C.
"""

from types import ModuleType

from unetpp.data.images import npy as format_npy
from unetpp.data.images import pillow as format_pillow
from unetpp.data.images.header import Header, SampleError
from unetpp.data.images.mask_facts import MaskFacts, MaskPlane
from unetpp.data.images.pixels import PLAIN, Pixels, Reading
from unetpp.data.images.tiff import reader as format_tiff

__all__ = ["read_header", "read_image", "read_mask", "read_mask_facts"]

_MAGIC: tuple[tuple[bytes, ModuleType], ...] = (
    (b"\x89PNG\r\n\x1a\n", format_pillow),
    (b"\xff\xd8\xff", format_pillow),
    (b"BM", format_pillow),
    (b"RIFF", format_pillow),
    (b"GIF8", format_pillow),
    *((b"P" + kind, format_pillow) for kind in (b"2", b"3", b"5", b"6")),
    (b"II*\0", format_tiff),
    (b"MM\0*", format_tiff),
    (b"II+\0", format_tiff),
    (b"MM\0+", format_tiff),
    (b"\x93NUMPY", format_npy),
)


def read_header(data: bytes, reading: Reading = PLAIN) -> Header:
    """Shape and dtype of an encoded image, as a rule without decoding its pixels.

    Raises:
        SampleError: the reason why the file cannot be used.
        UndecidedError: it has two meanings, and `reading` says nothing of them.
    """
    module = _format_of(data)
    if module is format_tiff:
        return format_tiff.header(data, reading)
    found: Header = module.header(data)
    return found


def read_image(data: bytes, reading: Reading = PLAIN) -> Pixels:
    """Decode an image.

    Raises:
        SampleError: the reason why the file cannot be used.
        UndecidedError: it has two meanings, and `reading` says nothing of them.
    """
    module = _format_of(data)
    return format_tiff.pixels(data, reading) if module is format_tiff else Pixels(module.pixels(data))


def read_mask(data: bytes, reading: Reading = PLAIN, plane: MaskPlane = "stored") -> Pixels:
    """Decode a mask's values: palette indices, grey values, colours or one channel per label.

    Where a mask holds no data its values are 0.

    Args:
        data: the encoded mask.
        reading: what is said of TIFF files.
        plane: the values as stored, as viewers show them, or those of the alpha channel.

    Raises:
        SampleError: the reason why the file cannot be used.
    """
    module = _format_of(data)
    if plane == "alpha":
        if module is not format_pillow:
            raise SampleError("alpha channels are read of PNG, WebP and BMP masks; save the mask as one")
        return Pixels(format_pillow.alpha_pixels(data))
    if module is format_tiff:
        pixels = format_tiff.index_pixels(data, reading)
    else:
        pixels = Pixels(format_pillow.index_pixels(data) if module is format_pillow else module.pixels(data))
    mask = pixels.values if pixels.valid is None else pixels.values * pixels.valid[..., None]
    if plane == "shown":
        shown = read_mask_facts(data, reading).shown(mask.reshape(-1, mask.shape[-1]))
        mask = shown.reshape(*mask.shape[:-1], -1)
    return Pixels(mask, pixels.valid)


def read_mask_facts(data: bytes, reading: Reading = PLAIN) -> MaskFacts:
    """How an encoded mask stores its values.

    Raises:
        SampleError: the reason why the file cannot be used.
    """
    module = _format_of(data)
    if module is format_tiff:
        return format_tiff.mask_facts(data, reading)
    found: MaskFacts = module.mask_facts(data)
    return found


def _format_of(data: bytes) -> ModuleType:
    if not data:
        raise SampleError("the file is empty")
    for magic, module in _MAGIC:
        if data.startswith(magic):
            return module
    raise SampleError(
        f"unknown format (first bytes {data[:4].hex()}); use PNG, JPEG, TIFF, BMP, WebP, GIF, PGM, PPM or NPY"
    )
