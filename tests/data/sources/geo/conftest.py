"""GeoTIFF files with arrays that the test knows."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from rasterio.transform import from_origin

from unetpp.data.sources.files import FileRef

SaveGeo = Callable[..., FileRef]


@pytest.fixture
def save_geo(tmp_path: Path) -> SaveGeo:
    """Write pixels H W C as a GeoTIFF; 10 m pixels in UTM 16 N unless said otherwise."""

    def save(name: str, pixels: NDArray[Any], **options: Any) -> FileRef:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        height, width, count = pixels.shape
        profile = {
            "driver": "GTiff", "height": height, "width": width, "count": count, "dtype": pixels.dtype.name,
            "crs": "EPSG:32616", "transform": from_origin(500_000, 4_000_000, 10, 10),
        }  # fmt: skip
        mask = options.pop("mask", None)
        with (
            rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
            rasterio.open(path, "w", **profile | options) as file,
        ):
            file.write(np.moveaxis(pixels, -1, 0))
            if mask is not None:
                file.write_mask(mask)
        return FileRef(str(path.parent), path.name)

    return save
