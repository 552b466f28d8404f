"""GeoTIFF with the place of its image: cloud-optimised, deflated tiles, overviews by the most frequent class.

A colour table shows the classes. Where the image holds no data, so does the mask: 255, its nodata value.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.crs import CRS
from rasterio.transform import Affine
from rasterio.windows import Window

from unetpp.core.errors import InputError
from unetpp.core.manifest import IGNORE, Manifest
from unetpp.core.storage import Storage
from unetpp.data.sources.geo.geotiff import environment
from unetpp.data.sources.raster import Space
from unetpp.inference.colours import mask_palette
from unetpp.inference.volumes import STEPS
from unetpp.inference.writers.registry import Segmented

__all__ = ["PROBABILITIES_SUFFIX", "SUFFIX", "write", "write_probabilities"]

SUFFIX = PROBABILITIES_SUFFIX = ".tif"
_BLOCK_PX = 512


def write(segmented: Segmented, target: Storage, name: str) -> None:
    """See `registry`; the mask is H W."""
    mask, manifest = segmented.mask, segmented.manifest
    nodata = None if segmented.valid is None else IGNORE
    with _created(target, name, segmented.space, (1, *mask.shape), nodata, overviews="mode") as dataset:
        dataset.write_colormap(1, _colours(manifest))
        dataset.update_tags(1, **{f"CLASS_{value}": label for value, label in _names(manifest).items()})
        for window in _windows(*mask.shape):
            dataset.write(np.asarray(mask[window.toslices()]), 1, window=window)


def write_probabilities(segmented: Segmented, target: Storage, name: str) -> None:
    """A band of 8 bits for each class; a probability is the value times the band's scale."""
    probabilities = segmented.probabilities
    if probabilities is None:
        raise ValueError("no probabilities were kept")
    height, width, count = probabilities.shape
    with _created(
        target, name, segmented.space, (count, height, width), None, overviews="average"
    ) as dataset:
        dataset.scales = [1 / STEPS] * dataset.count
        dataset.descriptions = [entry.name for entry in segmented.manifest.classes]
        for window in _windows(height, width):
            # (row, column, band) -> (band, row, column)
            dataset.write(np.moveaxis(probabilities[window.toslices()], -1, 0), window=window)


@contextmanager
def _created(
    target: Storage,
    name: str,
    space: Space,
    shape: tuple[int, ...],
    nodata: int | None,
    *,
    overviews: str,
) -> Iterator[Any]:
    """A dataset (bands, rows, columns) of 8 bits to write to; at `name` once that is done."""
    if not space.transform:
        raise InputError(
            "a GeoTIFF needs an image that says where on the Earth it lies, this one does not; "
            "use --format png"
        )
    count, height, width = shape
    with tempfile.TemporaryDirectory(prefix="unetpp-geotiff-") as folder, environment():
        plain, finished = Path(folder) / "plain.tif", Path(folder) / "finished.tif"
        with rasterio.open(
            plain,
            "w",
            driver="GTiff",
            height=height,
            width=width,
            count=count,
            dtype="uint8",
            crs=CRS.from_wkt(space.crs) if space.crs else None,
            transform=Affine(*space.transform),
            nodata=nodata,
            tiled=True,
            blockxsize=_BLOCK_PX,
            blockysize=_BLOCK_PX,
            compress="deflate",
            zlevel=1,
            bigtiff="IF_SAFER",
        ) as dataset:
            yield dataset
        # The layout of a cloud-optimised file is that of a copy.
        rasterio.shutil.copy(
            plain,
            finished,
            driver="COG",
            compress="deflate",
            blocksize=_BLOCK_PX,
            overview_resampling=overviews,
            bigtiff="IF_SAFER",
        )
        target.put(finished, name)


def _windows(height: int, width: int) -> Iterator[Window]:
    for top in range(0, height, _BLOCK_PX):
        for left in range(0, width, _BLOCK_PX):
            yield Window(left, top, min(_BLOCK_PX, width - left), min(_BLOCK_PX, height - top))


def _colours(manifest: Manifest) -> dict[int, tuple[int, ...]]:
    return {value: (*map(int, colour), 255) for value, colour in enumerate(mask_palette(manifest))}


def _names(manifest: Manifest) -> dict[int, str]:
    """Class of each mask value; of each bit in a multilabel task."""
    names = [entry.name for entry in manifest.classes]
    if manifest.task == "multiclass":
        return dict(enumerate(names))
    if manifest.task == "binary":
        return {0: "background", 1: names[0]}
    return {1 << bit: name for bit, name in enumerate(names)}
