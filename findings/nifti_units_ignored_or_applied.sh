#!/usr/bin/env bash
# Behaviour: a NIfTI header names its unit of length (xyzt_units). SimpleITK converts to
# millimetres, nibabel's affine and zooms stay in the file's unit.
# Versions: nibabel 5.4.2, SimpleITK 2.5.7.
# Why it hurts: microscopy volumes in micrometres get voxel sizes a thousand times apart:
# distances, volumes and resampling in mm are wrong in one of the two, and masks do not overlap
# the images.
# Instead: check header.get_xyzt_units() and scale nibabel's affine yourself, or write files in
# mm.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq nibabel==5.4.2 SimpleITK==2.5.7 numpy==2.4.6
cd "$work"
venv/bin/python -W ignore - <<'PY'
import sys
from importlib.metadata import version

import nibabel as nib
import numpy as np
import SimpleITK as sitk


def expect(what, stated, seen):
    print(f"seen: {what}: {seen}")
    if seen != stated:
        sys.exit(f"changed: {what}: expected {stated}, seen {seen}")


libraries = ("nibabel", "SimpleITK")
print("library:", *(f"{name} {version(name)}" for name in libraries))
print("guess: both libraries give the same spacing for the same file")
image = nib.Nifti1Image(np.zeros((4, 4, 4), np.uint8), np.diag([0.5, 0.5, 2, 1]))
image.header.set_xyzt_units("micron")
nib.save(image, "cells.nii.gz")
zooms = tuple(float(size) for size in nib.load("cells.nii.gz").header.get_zooms())
spacing = tuple(round(size, 9) for size in sitk.ReadImage("cells.nii.gz").GetSpacing())
expect("nibabel zooms", (0.5, 0.5, 2.0), zooms)
expect("SimpleITK spacing", (0.0005, 0.0005, 0.002), spacing)
PY
