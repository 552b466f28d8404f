"""PNG, JPEG, BMP, WebP, GIF, PGM and PPM files, read by Pillow with these decoders only."""

import io
import re
import warnings
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from unetpp.data.images.header import Header, SampleError, canonical, check_limits
from unetpp.data.images.mask_facts import MaskFacts

__all__ = ["alpha_pixels", "header", "index_pixels", "mask_facts", "pixels"]

_FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "GIF", "PPM")
_GREY_MODES = {"1", "L", "LA"}
_COLOUR_MODES = {"P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"}
_ORIENTATION, _TRANSPOSED = 0x0112, {5, 6, 7, 8}
_PNG_DEPTH, _PNG_COLOUR = 24, 25
"""Offsets of bit depth and colour type in a PNG file."""
_PNG_GREY = 0
_ALPHA_MODES = ("LA", "PA", "RGBA")
_RIFF_HEAD, _CHUNK_HEAD = 12, 8
_NETPBM_HEAD = re.compile(rb"P[2356](?:(?:\s|#[^\n]*\n)+(\d+)){3}\s")
"""Width, height, and the largest value, which is the last group."""
_NAMES = {"WEBP": "WebP", "PPM": "PGM/PPM"}


def header(data: bytes) -> Header:
    """Shape and dtype without decoding, EXIF rotation applied, alpha left out.

    Raises:
        SampleError: damaged, animated, too large or of an unknown mode.
    """
    with _open(data) as image:
        return _header(image, data)


def pixels(data: bytes) -> NDArray[Any]:
    """The image, H W C: grey or RGB; palettes become colours."""
    with _open(data) as image:
        found = _header(image, data)
        if _is_deep_colour_png(data):
            return _deep_colour_png(data, found.channels)
        upright = _load(image)
        if found.dtype == "uint16":
            return canonical(np.asarray(upright).astype(np.uint16)[:, :, None])
        if found.channels == 1:
            return np.asarray(upright.convert("L"))[:, :, None]
        return np.asarray(upright.convert("RGB"))


def index_pixels(data: bytes) -> NDArray[Any]:
    """A mask's values, H W C: samples and palette indices as stored, whatever the bit depth.

    Transparent pixels have no colour that anyone sees: they are 0.
    """
    with _open(data) as image:
        upright = _load_mask(image, data)
        if upright.mode == "PA":
            upright = upright.getchannel(0)
        elif upright.mode in ("RGBA", "LA"):
            return _visible(np.asarray(upright))
        elif upright.mode in _COLOUR_MODES - {"P", "RGB"}:
            upright = upright.convert("RGB")
        values = np.asarray(upright)
        return _with_channels(values.astype(np.uint16) if upright.mode == "I" else values) // _png_scale(data)


def alpha_pixels(data: bytes) -> NDArray[Any]:
    """A mask's alpha channel, H W 1.

    Raises:
        SampleError: it has none.
    """
    with _open(data) as image:
        upright = _load_mask(image, data)
        if upright.mode not in _ALPHA_MODES:
            raise SampleError("this mask has no alpha channel, in which the other masks hold their labels")
        return _with_channels(np.asarray(upright.getchannel("A")))


def mask_facts(data: bytes) -> MaskFacts:
    """How a mask file stores its values."""
    with _open(data) as image:
        palette = image.getpalette("RGB") if image.mode == "P" else None
        bits = data[_PNG_DEPTH] if image.format == "PNG" else {"1": 1, "I": 16}.get(image.mode, 8)
        return MaskFacts(
            container=_NAMES.get(str(image.format), str(image.format)),
            is_lossy=image.format == "JPEG" or (image.format == "WEBP" and _is_lossy_webp(data)),
            bits=bits,
            palette=None if palette is None else np.array(palette, np.uint8).reshape(-1, 3),
            has_alpha=image.mode in _ALPHA_MODES,
        )


def _load_mask(image: Image.Image, data: bytes) -> Image.Image:
    _header(image, data)
    if _is_deep_colour_png(data):
        raise SampleError("a mask must not have 16 bits per colour; save class indices as 8-bit grey")
    return _load(image)


def _is_lossy_webp(data: bytes) -> bool:
    start = _RIFF_HEAD
    while start + _CHUNK_HEAD <= len(data):
        if data[start : start + 4] in (b"VP8 ", b"VP8L"):
            return data[start : start + 4] == b"VP8 "
        # Chunks have an even length.
        start += _CHUNK_HEAD + (int.from_bytes(data[start + 4 : start + 8], "little") + 1) // 2 * 2
    return True


def _visible(pixels: NDArray[Any]) -> NDArray[Any]:
    # (H, W, colours and alpha) -> (H, W, colours)
    return np.asarray(np.where(pixels[:, :, -1:] > 0, pixels[:, :, :-1], np.uint8(0)))


def _with_channels(array: NDArray[Any]) -> NDArray[Any]:
    return canonical(array[:, :, None] if array.ndim == 2 else array)


def _png_scale(data: bytes) -> int:
    """What Pillow multiplied the samples of a grey PNG by; it does so for 2 and 4 bits, not for one."""
    is_grey = data.startswith(b"\x89PNG") and data[_PNG_COLOUR] == _PNG_GREY
    return {2: 85, 4: 17}.get(data[_PNG_DEPTH], 1) if is_grey else 1


def _open(data: bytes) -> Image.Image:
    try:
        with warnings.catch_warnings():
            # Our own limit is checked from the header below and is an error, not a warning.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=_FORMATS)
            return _as_grey(image) if image.format == "GIF" else image
    except Image.DecompressionBombError as error:
        raise SampleError(f"decompression bomb: {error}") from error
    except Exception as error:
        raise SampleError(f"damaged header: {error}") from error


def _as_grey(gif: Image.Image) -> Image.Image:
    """A GIF in grey levels where its palette has no other colour: the format has palettes only."""
    if gif.mode != "P" or getattr(gif, "n_frames", 1) > 1:
        return gif
    palette = np.array(gif.getpalette("RGB"), np.uint8).reshape(-1, 3)
    if not (palette == palette[:, :1]).all():
        return gif
    grey = gif.convert("L")
    grey.format = gif.format
    return grey


def _header(image: Image.Image, data: bytes) -> Header:
    if getattr(image, "n_frames", 1) > 1:
        raise SampleError("the file is an animation; save one image per file")
    width, height = image.size
    # Pillow decodes a whole PNG to look for EXIF behind the pixels; the chunk's name tells sooner.
    if (image.format != "PNG" or b"eXIf" in data) and _orientation(image) in _TRANSPOSED:
        height, width = width, height
    if image.format == "PPM":
        _require_plain(image, data)
    if image.mode.startswith("I"):
        return check_limits(Header(height, width, 1, "uint16"))
    if _is_deep_colour_png(data):
        return check_limits(Header(height, width, 1 if data[_PNG_COLOUR] == 4 else 3, "uint16"))
    if image.mode in _GREY_MODES:
        return check_limits(Header(height, width, 1, "uint8"))
    if image.mode in _COLOUR_MODES:
        return check_limits(Header(height, width, 3, "uint8"))
    raise SampleError(f"mode {image.mode} is not supported; save as grey or RGB")


def _require_plain(image: Image.Image, data: bytes) -> None:
    """Refuse a PGM or PPM whose values Pillow would stretch to 8 or 16 bits: labels 0 to 4 to 0 to 255."""
    found = _NETPBM_HEAD.match(data)
    largest = 0 if found is None else int(found[1])
    if largest != (65535 if image.mode == "I" else 255):
        raise SampleError(
            "a PGM or PPM must say that its largest value is 255, or of grey 65535; this one says "
            f"{largest}; save it as PNG"
        )


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception as error:
        raise SampleError(f"damaged EXIF data: {error}") from error


def _load(image: Image.Image) -> Image.Image:
    try:
        image.load()
        return ImageOps.exif_transpose(image)
    except Exception as error:
        raise SampleError(f"truncated or damaged: {error}") from error


def _is_deep_colour_png(data: bytes) -> bool:
    # Pillow silently keeps only the upper 8 of 16 bits of these.
    is_png = data.startswith(b"\x89PNG") and len(data) > _PNG_COLOUR
    return is_png and data[_PNG_DEPTH] == 16 and data[_PNG_COLOUR] in (2, 4, 6)


def _deep_colour_png(data: bytes, channels: int) -> NDArray[Any]:
    try:
        array = np.asarray(imagecodecs.png_decode(data))
    except Exception as error:
        raise SampleError(f"truncated or damaged: {error}") from error
    return canonical(array[:, :, :channels])
