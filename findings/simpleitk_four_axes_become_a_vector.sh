#!/usr/bin/env bash
# Behaviour: GetImageFromArray takes the last axis of a 4-D array for vector components by
# default: a series of 4 volumes of 16x32x48 becomes ONE volume 32x16x4 with 48 components. Arrays
# of 2 or 3 axes are scalar, also (H, W, 3).
# Versions: SimpleITK 2.5.7.
# Why it hurts: a 4-D segmentation or a time series keeps its values but loses its geometry;
# spacing and origin set afterwards go to the wrong axes.
# Instead: pass isVector=False (or True) always, by keyword.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq SimpleITK==2.5.7 numpy==2.4.6
cd "$work"
venv/bin/python -W ignore - <<'PY'
import sys
from importlib.metadata import version

import numpy as np
import SimpleITK as sitk


def expect(what, stated, seen):
    print(f"seen: {what}: {seen}")
    if seen != stated:
        sys.exit(f"changed: {what}: expected {stated}, seen {seen}")


libraries = ("SimpleITK",)
print("library:", *(f"{name} {version(name)}" for name in libraries))
print("guess: a 4-D array gives a 4-D image, as a 3-D array gives a 3-D one")
series = np.zeros((4, 16, 32, 48), np.uint8)
image = sitk.GetImageFromArray(series)
expect("size", (32, 16, 4), image.GetSize())
expect("components", 48, image.GetNumberOfComponentsPerPixel())
plain = sitk.GetImageFromArray(series, isVector=False)
expect("size with isVector=False", (48, 32, 16, 4), plain.GetSize())
colour = sitk.GetImageFromArray(np.zeros((32, 48, 3), np.uint8))
expect("size of an (H, W, 3) array", (3, 48, 32), colour.GetSize())
PY
