"""The page that shows what packing understood: classes, splits, warnings, masks over their images."""

import base64
import io
import logging
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unetpp.core.manifest import Manifest
from unetpp.core.storage import open_storage
from unetpp.data.images.header import Header, SampleError
from unetpp.data.pack.masks.understood import ClassShare
from unetpp.data.pack.pack import PackResult
from unetpp.data.pack.parts import decode_pair
from unetpp.data.pack.scan import LabelledPair
from unetpp.data.preview import overlay, plane_shown, stretched
from unetpp.data.sources.files import UnreadFileError
from unetpp.report.page import render_page

__all__ = ["PREVIEW", "chosen_pairs", "write_preview"]

logger = logging.getLogger(__name__)

PREVIEW = "preview.html"
_SHOWN = 16
_SIDE_PX = 320
_MAX_BYTES = 2**28
"""Of a decoded image that is drawn: a packing that reads by windows holds no more either."""
_VISIBLE = 0.25
"""Of the share a class has where it has most; less of it is easily overlooked."""


def write_preview(out: str, result: PackResult) -> str:
    """Write the page of a packed dataset beside its manifest; returns where."""
    storage = open_storage(out)
    page = render_page(
        "packing.html",
        title=f"What was packed: {storage.uri}",
        understood=result.understood,
        lines=list(result.understood.lines()),
        classes=[_class_row(share, result.manifest) for share in result.understood.classes],
        figures=list(_figures(result)),
    )
    storage.write(PREVIEW, page.encode())
    return f"{storage.uri}/{PREVIEW}"


def chosen_pairs(pairs: Sequence[LabelledPair], count: int) -> list[LabelledPair]:
    """Up to so many pairs in which every label appears, if so many suffice; then the first of the others."""
    shares = [_shares(pair) for pair in pairs]
    most: dict[int, float] = {}
    for share in shares:
        for label, value in share.items():
            most[label] = max(most.get(label, 0.0), value)
    shown = [{label for label, value in share.items() if value >= _VISIBLE * most[label]} for share in shares]
    chosen: list[int] = []
    missing = set(most)
    while missing and len(chosen) < count:
        best = max(range(len(pairs)), key=lambda index: (len(shown[index] & missing), -index))
        missing -= shown[best]
        chosen.append(best)
    others = [index for index in range(len(pairs)) if index not in chosen]
    return [pairs[index] for index in [*chosen, *others][:count]]


def _shares(pair: LabelledPair) -> dict[int, float]:
    total = sum(count for _, count in pair.counts)
    return {label: count / total for label, count in pair.counts}


def _figures(result: PackResult) -> Iterator[dict[str, Any]]:
    split_of = {row.source.pair.sample_id: shard.split for shard in result.shards for row in shard.rows}
    pairs = list({id(row.source): row.source for shard in result.shards for row in shard.rows}.values())
    small = [pair for pair in pairs if _is_drawn(pair.header)]
    for pair in chosen_pairs(small, _SHOWN):
        try:
            image, mask = decode_pair(pair, result.settled, result.options)
        except (SampleError, UnreadFileError) as error:
            logger.warning("%s is not shown in %s: %s", pair.pair.sample_id, PREVIEW, error)
            continue
        name = pair.pair.sample_id
        image, mask = plane_shown(image, mask)
        yield {
            "source": _picture(image, mask, result.manifest),
            "name": name,
            "split": split_of[pair.pair.sample_id],
        }


def _is_drawn(header: Header) -> bool:
    """Whether an image is decoded for the page; a volume was held whole to be packed."""
    sides = header.height, header.width, header.channels
    return header.planes is not None or math.prod(sides) * np.dtype(header.dtype).itemsize <= _MAX_BYTES


def _picture(image: NDArray[Any], mask: NDArray[np.uint8], manifest: Manifest) -> str:
    """The image beside itself with its mask, as a data URI."""
    rgb = stretched(image, manifest)
    sides = [Image.fromarray(part) for part in (rgb, overlay(rgb, mask, manifest))]
    scale = _SIDE_PX / max(rgb.shape[:2])
    size = (max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale)))
    # Small pictures keep the edges of their pixels, large ones must not lose thin objects.
    method = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BOX
    row = Image.new("RGB", (2 * size[0] + 4, size[1]), "white")
    for index, side in enumerate(sides):
        row.paste(side.resize(size, method), (index * (size[0] + 4), 0))
    stream = io.BytesIO()
    row.save(stream, "JPEG", quality=88, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()


def _class_row(share: ClassShare, manifest: Manifest) -> dict[str, Any]:
    colours = {entry.name: "#{:02x}{:02x}{:02x}".format(*entry.colour) for entry in manifest.classes}
    return {
        "name": share.name,
        "colour": colours.get(share.name, "transparent"),
        "mask_values": share.values,
        "pixels": f"{100 * share.pixel_share:.3g} %",
        "images": {split: part.images for split, part in share.splits.items()},
    }
