#!/usr/bin/env bash
# Behaviour: SimpleITK writes class probabilities (a vector image) to NIfTI with five axes, x y z
# t=1 class; nibabel gives the shape (x, y, z, 1, classes).
# Versions: SimpleITK 2.5.7, nibabel 5.4.2.
# Why it hurts: argmax over axis 3, right for every ordinary 4-D NIfTI, runs over the axis of
# length 1 and calls every voxel background.
# Instead: take argmax over the last axis and drop axis 3, or check header intent code 1007
# (vector).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq SimpleITK==2.5.7 nibabel==5.4.2 numpy==2.4.6
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


libraries = ("SimpleITK", "nibabel")
print("library:", *(f"{name} {version(name)}" for name in libraries))
print("guess: four axes with the classes last, so argmax(axis=3) gives the classes")
probabilities = np.zeros((6, 5, 4, 3), np.float32)
probabilities[..., 2] = 1
sitk.WriteImage(sitk.GetImageFromArray(probabilities, isVector=True), "probabilities.nii.gz")
image = nib.load("probabilities.nii.gz")
expect("shape in nibabel", (4, 5, 6, 1, 3), image.shape)
expect("class by argmax(axis=3)", 0, int(image.get_fdata().argmax(3).max()))
expect("class by argmax(axis=-1)", 2, int(image.get_fdata().argmax(-1).max()))
PY
