#!/usr/bin/env bash
# Behaviour: overviews may lie beside a raster (labels.tif.ovr). When a library other than GDAL
# rewrites labels.tif, rasterio goes on reading the OLD labels at reduced size and the new ones at
# full size.
# Versions: rasterio 1.4.4, tifffile 2026.3.3.
# Why it hurts: previews, thumbnails and coarse metrics show yesterday's prediction; nothing
# warns, the sizes agree.
# Instead: write a new name and move it, and remove NAME.ovr, NAME.msk and NAME.aux.xml with the
# file.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq rasterio==1.4.4 tifffile==2026.3.3 numpy==2.4.6
cd "$work"
venv/bin/python -W ignore - <<'PY'
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import rasterio
import tifffile
from rasterio.enums import Resampling


def expect(what, stated, seen):
    print(f"seen: {what}: {seen}")
    if seen != stated:
        sys.exit(f"changed: {what}: expected {stated}, seen {seen}")


libraries = ("rasterio", "tifffile")
print("library:", *(f"{name} {version(name)}" for name in libraries))
print("guess: an overview older than its raster is not used")
tifffile.imwrite("labels.tif", np.full((512, 512), 1, np.uint8))
with rasterio.Env(TIFF_USE_OVR=True), rasterio.open("labels.tif", "r+") as raster:
    raster.build_overviews([2, 4], Resampling.nearest)
tifffile.imwrite("labels.tif", np.full((512, 512), 2, np.uint8))
with rasterio.open("labels.tif") as raster:
    expect("class at full size", [2], np.unique(raster.read(1)).tolist())
    expect("class at quarter size", [1], np.unique(raster.read(1, out_shape=(128, 128))).tolist())
Path("labels.tif.ovr").unlink()
with rasterio.open("labels.tif") as raster:
    expect("without the .ovr", [2], np.unique(raster.read(1, out_shape=(128, 128))).tolist())
PY
