#!/usr/bin/env bash
# Behaviour: GDAL's JP2OpenJPEG driver writes lossy files by default (QUALITY 25). A label map
# with classes 0 to 3 comes back without class 2.
# Versions: rasterio 1.4.4.
# Why it hurts: JPEG 2000 is used as a lossless format in medicine, and tifffile's
# compression='jpeg2000' is lossless; here whole classes of small values vanish.
# Instead: QUALITY=100, REVERSIBLE='YES', or better GTiff with deflate for labels.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq rasterio==1.4.4 numpy==2.4.6
cd "$work"
venv/bin/python -W ignore - <<'PY'
import sys
from importlib.metadata import version

import numpy as np
import rasterio


def expect(what, stated, seen):
    print(f"seen: {what}: {seen}")
    if seen != stated:
        sys.exit(f"changed: {what}: expected {stated}, seen {seen}")


libraries = ("rasterio",)
print("library:", *(f"{name} {version(name)}" for name in libraries))
print("guess: lossless for 8-bit integers, as with PNG")
labels = np.zeros((64, 64), np.uint8)
labels[10:40, 12:50] = 1
labels[30:60, 5:25] = 2
labels[5:9] = 3
size = {"width": 64, "height": 64, "count": 1, "dtype": "uint8", "driver": "JP2OpenJPEG"}
for name, options in (("default.jp2", {}), ("exact.jp2", {"QUALITY": 100, "REVERSIBLE": "YES"})):
    with rasterio.open(name, "w", **size, **options) as raster:
        raster.write(labels, 1)
with rasterio.open("default.jp2") as raster:
    expect("classes written with defaults", [0, 1, 3], np.unique(raster.read(1)).tolist())
with rasterio.open("exact.jp2") as raster:
    expect("equal with QUALITY=100, REVERSIBLE", True, bool((raster.read(1) == labels).all()))
PY
