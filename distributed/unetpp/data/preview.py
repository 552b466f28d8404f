"""A contact sheet: samples beside the same with their mask drawn over them."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from unetpp.core.errors import InputError
from unetpp.core.manifest import IGNORE, Manifest
from unetpp.core.storage import Storage
from unetpp.data.dataset.manifests import load_manifest
from unetpp.data.dataset.parquet import iter_samples
from unetpp.data.dataset.sample import Sample

__all__ = ["contact_sheet", "overlay", "plane_shown", "stretched", "to_rgb"]

_CELL_PX = 192
_GAP_PX = 6
_TEXT_PX = 14
_PAIRS_PER_ROW = 3
_ALPHA = 0.45
_BLOCK_PIXELS = 2**18
_BACKGROUND = (24, 26, 30)
_IGNORED = (128, 128, 128)
_BACKGROUND_NAMES = {"background", "bg", "class_0", "none", "other"}
"""Class 0 under these names is left undrawn; in a scene it is a thing like any other."""


def contact_sheet(storage: Storage, *, split: str | None, count: int) -> tuple[Image.Image, str]:
    """Draw the first `count` samples of a split, in storage order, which is hashed, and name the split.

    Args:
        storage: of the dataset.
        split: default train, or the first split where there is none.
        count: samples at most.

    Raises:
        InputError: the dataset has no such split.
    """
    manifest = load_manifest(storage)
    split = split or min(manifest.splits, key=lambda name: name != "train")
    if split not in manifest.splits:
        raise InputError(f"split={split} is not in the dataset; use one of {', '.join(manifest.splits)}")
    samples = list(islice(iter_samples(storage, manifest, split), count))
    width = 2 * _CELL_PX + 2 * _GAP_PX
    tallest = max(min(1.0, sample.mask.shape[-2] / sample.mask.shape[-1]) for sample in samples)
    height = round(_CELL_PX * tallest) + _TEXT_PX + _GAP_PX
    columns = min(_PAIRS_PER_ROW, len(samples))
    legend_px = _TEXT_PX + 2 * _GAP_PX
    size = (columns * width + _GAP_PX, -(-len(samples) // columns) * height + legend_px)
    sheet = Image.new("RGB", size, _BACKGROUND)
    for index, sample in enumerate(samples):
        left = index % columns * width + _GAP_PX
        _draw_pair(sheet, sample, manifest, (left, index // columns * height + legend_px))
    _draw_legend(sheet, manifest)
    return sheet, split


def plane_shown(
    image: NDArray[Any], mask: NDArray[np.uint8], *others: NDArray[np.uint8]
) -> tuple[NDArray[Any], ...]:
    """Of a volume the plane with the most foreground in any of the masks; a picture as it is."""
    if mask.ndim == 2:
        return image, mask, *others
    marked = np.logical_or.reduce([(part > 0) & (part != IGNORE) for part in (mask, *others)])
    plane = int(marked.sum((1, 2)).argmax())
    return image[plane], mask[plane], *(part[plane] for part in others)


def to_rgb(image: NDArray[Any], low: Sequence[float], high: Sequence[float]) -> NDArray[np.uint8]:
    """Any image, H W C, as RGB uint8; `low` and `high` per channel become black and white."""
    channels = [0, 1, 2] if image.shape[2] >= 3 else [0, 0, 0]
    floor = np.array([low[c] for c in channels], dtype=np.float64)
    span = np.array([high[c] for c in channels], dtype=np.float64) - floor
    rgb = np.empty((*image.shape[:2], 3), np.uint8)
    for rows in _row_blocks(rgb):
        scaled = (image[rows][:, :, channels] - floor) / np.where(span > 0, span, 1) * 255
        rgb[rows] = np.clip(scaled, 0, 255)
    return rgb


def overlay(rgb: NDArray[np.uint8], mask: NDArray[np.uint8], manifest: Manifest) -> NDArray[np.uint8]:
    """The image with each class in its colour; background stays, ignored pixels are grey. H W 3."""
    colours = np.zeros((256, 3))
    strength = np.zeros(256)
    for value in range(256):
        drawn = _colours_of(value, manifest)
        if drawn:
            colours[value] = np.mean(drawn, axis=0)
            strength[value] = _ALPHA
    blended = np.empty_like(rgb)
    for rows in _row_blocks(rgb):
        alpha = strength[mask[rows]][:, :, None]
        blended[rows] = rgb[rows] * (1 - alpha) + colours[mask[rows]] * alpha
    return blended


def _row_blocks(rgb: NDArray[np.uint8]) -> Iterator[slice]:
    """Rows of a picture in parts, whose numbers take 8 bytes each while they are computed."""
    count = max(1, _BLOCK_PIXELS // max(1, rgb.shape[1]))
    return (slice(top, top + count) for top in range(0, rgb.shape[0], count))


def _colours_of(value: int, manifest: Manifest) -> list[tuple[int, int, int]]:
    classes = manifest.classes
    if value == IGNORE and manifest.ignore_index is not None:
        return [_IGNORED]
    if manifest.task == "binary":
        return [classes[0].colour] if value == 1 else []
    if manifest.task == "multiclass":
        drawn = value < len(classes) and not _is_background(value, manifest)
        return [classes[value].colour] if drawn else []
    return [entry.colour for bit, entry in enumerate(classes) if value >> bit & 1]


def _is_background(index: int, manifest: Manifest) -> bool:
    named = manifest.classes[index].name.lower() in _BACKGROUND_NAMES
    return manifest.task == "multiclass" and index == 0 and named


def _draw_pair(sheet: Image.Image, sample: Sample, manifest: Manifest, at: tuple[int, int]) -> None:
    image, mask = plane_shown(sample.image, sample.mask)
    rgb = stretched(image, manifest)
    for offset, picture in enumerate((rgb, overlay(rgb, mask, manifest))):
        cell = Image.fromarray(picture)
        scale = _CELL_PX / max(cell.size)
        cell = cell.resize((max(1, round(cell.width * scale)), max(1, round(cell.height * scale))))
        sheet.paste(cell, (at[0] + offset * _CELL_PX, at[1] + _TEXT_PX))
    text = sample.sample_id if len(sample.sample_id) <= 56 else "..." + sample.sample_id[-53:]
    ImageDraw.Draw(sheet).text(at, text, fill="white")


def stretched(image: NDArray[Any], manifest: Manifest) -> NDArray[np.uint8]:
    """Any image, H W C, as RGB uint8 between the ends of its dataset's range."""
    stats = manifest.channel_stats
    if image.dtype == np.uint8:
        return to_rgb(image, [0.0] * len(stats), [255.0] * len(stats))
    return to_rgb(image, [s.p01 for s in stats], [s.p99 for s in stats])


def _draw_legend(sheet: Image.Image, manifest: Manifest) -> None:
    draw = ImageDraw.Draw(sheet)
    left = _GAP_PX
    for index, entry in enumerate(manifest.classes):
        if _is_background(index, manifest):
            continue
        draw.rectangle((left, _GAP_PX, left + 10, _GAP_PX + 10), fill=entry.colour)
        draw.text((left + 14, _GAP_PX - 1), entry.name, fill="white")
        left += 26 + round(draw.textlength(entry.name))
