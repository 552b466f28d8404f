#!/usr/bin/env bash
# Behaviour: linear Resample of an integer image cuts the fraction off (0.75 becomes 0, -0.75
# becomes 0), while scipy.ndimage.zoom rounds.
# Versions: SimpleITK 2.5.7.
# Why it hurts: integer scans come out darker by half a step on average, and masks resampled as
# 0/255 or as soft masks in integers shrink.
# Instead: Cast to sitkFloat32 before Resample, and round when going back; sitkNearestNeighbor or
# sitkLabelGaussian for labels.
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
print("guess: interpolated values are rounded to the nearest integer")
def stretched(values, pixel):
    image = sitk.Cast(sitk.GetImageFromArray(np.array([values, values], np.int16)), pixel)
    finer = sitk.Resample(
        image, [5, 2], sitk.Transform(), sitk.sitkLinear, [0, 0], [0.25, 1], [1, 0, 0, 1], 0.0
    )
    return sitk.GetArrayFromImage(finer)[0].tolist()


expect("as float", [0.0, 0.75, 1.5, 2.25, 3.0], stretched([0, 3], sitk.sitkFloat32))
expect("as uint8", [0, 0, 1, 2, 3], stretched([0, 3], sitk.sitkUInt8))
expect("as int16, negative", [0, 0, -1, -2, -3], stretched([0, -3], sitk.sitkInt16))
PY
