#!/usr/bin/env bash
# Behaviour: a GeoTIFF whose key says PixelIsPoint has its tie point in the CENTRE of a pixel.
# rasterio shifts its transform by half a pixel to the corner, tifffile's geotiff tags stay at the
# centre.
# Versions: rasterio 1.4.4, tifffile 2026.3.3.
# Why it hurts: polygons burned with a transform made from the tags of tifffile (or of other
# readers of plain TIFF) are off by half a pixel from those burned with rasterio's.
# Instead: take the transform from rasterio, or shift by half a pixel where GTRasterTypeGeoKey is
# 2.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq rasterio==1.4.4 tifffile==2026.3.3 numpy==2.4.6
cd "$work"
venv/bin/python -W ignore - <<'PY'
import sys
from importlib.metadata import version

import numpy as np
import rasterio
import tifffile


def expect(what, stated, seen):
    print(f"seen: {what}: {seen}")
    if seen != stated:
        sys.exit(f"changed: {what}: expected {stated}, seen {seen}")


libraries = ("rasterio", "tifffile")
print("library:", *(f"{name} {version(name)}" for name in libraries))
print("guess: the origin is the tie point that the file names: (100, 200)")
keys = (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 2, 3072, 0, 1, 32633)  # 1025 = 2: point
tags = [
    (33550, 12, 3, (1.0, 1.0, 0.0), True),
    (33922, 12, 6, (0.0, 0.0, 0.0, 100.0, 200.0, 0.0), True),
    (34735, 3, len(keys), keys, True),
]
tifffile.imwrite("grid.tif", np.zeros((4, 4), np.uint8), extratags=tags)
with tifffile.TiffFile("grid.tif") as tiff:
    point = tiff.pages[0].geotiff_tags["ModelTiepoint"]
expect("tie point in tifffile", [100.0, 200.0], [float(value) for value in point[3:5]])
with rasterio.open("grid.tif") as raster:
    expect("origin in rasterio", [99.5, 200.5], [raster.transform.c, raster.transform.f])
PY
