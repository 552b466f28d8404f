"""One DICOM file: opened without a word of its patient, its values decoded.

Nothing here puts a library's own message into an error: it may quote the file, names included.
"""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.pixels import apply_color_lut, apply_modality_lut, pixel_array

from unetpp.core.errors import UnetppError
from unetpp.data.images.header import Dtype, Header, SampleError

__all__ = [
    "Coding",
    "coding_of",
    "decode",
    "header_of",
    "open_dicom",
    "refusing_damage",
    "stored_pixels",
    "text_of",
]

# What a file's values break of the standard is neither shown nor a reason to stop.
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE

_COLOURS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT", "YBR_PARTIAL_420", "YBR_PARTIAL_422")
_GREY = ("MONOCHROME1", "MONOCHROME2")


@dataclass(frozen=True)
class Coding:
    """How stored values become those of the image."""

    channels: int
    dtype: Dtype
    inverted: bool
    """Low values are bright, as films were (MONOCHROME1)."""
    palette: bool
    slope: float
    intercept: float
    table: bool
    """Whether a lookup table of the modality stands in place of slope and intercept."""


def open_dicom(source: Path | bytes, *, pixels: bool = False) -> Any:
    """A pydicom data set, with pixel data where asked.

    Raises:
        SampleError: no DICOM file, or a damaged one.
    """
    with _quiet():
        try:
            return pydicom.dcmread(
                io.BytesIO(source) if isinstance(source, bytes) else source, stop_before_pixels=not pixels
            )
        except Exception as error:
            raise SampleError(f"no DICOM file, or a damaged one ({type(error).__name__})") from None


@contextmanager
def refusing_damage() -> Iterator[None]:
    """Turn what pydicom raises when it comes upon a damaged attribute, anything at all, into a refusal.

    Attributes are converted when first looked at, so that may be anywhere.

    Raises:
        SampleError: a file is damaged.
    """
    try:
        yield
    except (UnetppError, MemoryError):
        raise
    except Exception as error:
        raise SampleError(f"damaged DICOM attributes ({type(error).__name__})") from None


def coding_of(dicom: Any) -> Coding:
    """How the pixels of a file are stored.

    Raises:
        SampleError: no image, or a kind that has no plain pixels.
    """
    photometric = text_of(dicom, "PhotometricInterpretation")
    bits = _number(dicom, "BitsAllocated", 0)
    if photometric in _COLOURS or photometric == "PALETTE COLOR":
        palette = photometric == "PALETTE COLOR"
        return Coding(3, _colour_dtype(bits, palette=palette), False, palette, 1.0, 0.0, False)
    if photometric not in _GREY:
        raise SampleError(
            f"pixels of the kind {photometric or 'none'!r} are not read; use grey, RGB or palette images"
        )
    slope, intercept = _rescale(dicom)
    table = "ModalityLUTSequence" in dicom
    plain = not table and (slope, intercept) == (1.0, 0.0) and not _number(dicom, "PixelRepresentation", 0)
    whole: Dtype = "uint8" if _number(dicom, "BitsStored", bits) <= 8 else "uint16"
    is_whole = plain and bits <= 16 and not ({"FloatPixelData", "DoubleFloatPixelData"} & set(dicom.dir()))
    return Coding(
        1, whole if is_whole else "float32", photometric == "MONOCHROME1", False, slope, intercept, table
    )


def header_of(dicom: Any, planes: int | None = None) -> Header:
    """Of the image in a file.

    Raises:
        SampleError: no image.
    """
    coding = coding_of(dicom)
    return Header(
        _number(dicom, "Rows", 0), _number(dicom, "Columns", 0), coding.channels, coding.dtype, planes
    )


def decode(dicom: Any) -> NDArray[Any]:
    """Pixels of a file opened with them: H W C, or frames Z H W C, not yet in their final dtype.

    Slope and intercept are applied unless they are given frame by frame.

    Raises:
        SampleError: damaged, or compressed in a way that no installed library reads.
    """
    coding = coding_of(dicom)
    try:
        with _quiet():
            stored = pixel_array(dicom)
            if coding.palette:
                return _eight_bits(apply_color_lut(stored, dicom))
            values = _inverted(stored, dicom) if coding.inverted else stored
            if coding.table:
                values = apply_modality_lut(values, dicom)
    except Exception as error:
        raise SampleError(_undecoded(dicom, error)) from None
    if (coding.slope, coding.intercept) != (1.0, 0.0) and not coding.table:
        values = values * coding.slope + coding.intercept
    return values if coding.channels == 3 else values[..., None]


def stored_pixels(dicom: Any) -> NDArray[Any]:
    """Pixels as they are stored: H W, or frames Z H W.

    Raises:
        SampleError: damaged, or compressed in a way that no installed library reads.
    """
    try:
        with _quiet():
            return np.asarray(pixel_array(dicom, raw=True))
    except Exception as error:
        raise SampleError(_undecoded(dicom, error)) from None


def text_of(dicom: Any, name: str) -> str:
    """An attribute as text, empty where it is missing."""
    return str(dicom.get(name, "") or "")


def _colour_dtype(bits: int, *, palette: bool) -> Dtype:
    if palette or bits <= 8:
        return "uint8"
    return "uint16" if bits <= 16 else "float32"


def _number(dicom: Any, name: str, default: int) -> int:
    try:
        return int(dicom.get(name, default) or 0)
    except (TypeError, ValueError):
        raise SampleError(f"damaged DICOM: {name} is no number") from None


def _rescale(dicom: Any) -> tuple[float, float]:
    try:
        slope = dicom.get("RescaleSlope")
        return 1.0 if slope is None else float(slope), float(dicom.get("RescaleIntercept", 0) or 0)
    except (TypeError, ValueError):
        raise SampleError("damaged DICOM: RescaleSlope is no number") from None


def _inverted(stored: NDArray[Any], dicom: Any) -> NDArray[Any]:
    bits = _number(dicom, "BitsStored", 16)
    low = -(1 << bits - 1) if _number(dicom, "PixelRepresentation", 0) else 0
    high = low + (1 << bits) - 1
    return np.asarray(low + high - stored.astype(np.int64)).astype(stored.dtype)


def _eight_bits(colours: NDArray[Any]) -> NDArray[Any]:
    return colours if colours.dtype == np.uint8 else (colours >> 8).astype(np.uint8)


def _undecoded(dicom: Any, error: Exception) -> str:
    syntax = getattr(dicom.file_meta, "TransferSyntaxUID", None) if hasattr(dicom, "file_meta") else None
    name = getattr(syntax, "name", "") or "unknown"
    if isinstance(error, NotImplementedError | RuntimeError) and "plugin" in str(error):
        return (
            f"no installed library decodes {name}: convert the file to an uncompressed transfer syntax, "
            "or install python-gdcm"
        )
    return f"truncated or damaged DICOM pixels (transfer syntax {name}, {type(error).__name__})"


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
