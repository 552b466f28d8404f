#!/usr/bin/env bash
# Behaviour: where a NIfTI file has a qform (scanner) and another sform (aligned, code 2, as
# registration tools write), nibabel places the image by the sform and SimpleITK by the qform.
# Versions: nibabel 5.4.2, SimpleITK 2.5.7.
# Why it hurts: an image read by one library and its mask by the other land in different places,
# without a warning.
# Instead: read both with one library, or compare get_sform() and get_qform() and write one affine
# into both.
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
print("guess: both libraries prefer the sform, as the header says how")
image = nib.Nifti1Image(np.zeros((4, 4, 4), np.uint8), np.eye(4))
moved = np.eye(4)
moved[2, 3] = 10
image.set_qform(np.eye(4), code=1)
image.set_sform(moved, code=2)
nib.save(image, "image.nii.gz")
expect("nibabel origin z in mm", 10.0, float(nib.load("image.nii.gz").affine[2, 3]))
expect("SimpleITK origin z in mm", 0.0, sitk.ReadImage("image.nii.gz").GetOrigin()[2])
PY
