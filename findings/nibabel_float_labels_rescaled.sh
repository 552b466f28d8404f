#!/usr/bin/env bash
# Behaviour: nibabel saves a float label map with an integer type on disk by stretching it over
# the whole range of that type (scl_slope), even where every value is a small whole number. Read
# back, class 1 is 1.0000153.
# Versions: nibabel 5.4.2, numpy 2.4.6.
# Why it hurts: `labels == 1` finds no voxel and astype(int) merges classes; the file looks right
# in a viewer.
# Instead: cast the array itself to an integer type before Nifti1Image; read with
# numpy.rint(dataobj).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq nibabel==5.4.2 numpy==2.4.6
cd "$work"
venv/bin/python -W ignore - <<'PY'
import sys
from importlib.metadata import version

import nibabel as nib
import numpy as np


def expect(what, stated, seen):
    print(f"seen: {what}: {seen}")
    if seen != stated:
        sys.exit(f"changed: {what}: expected {stated}, seen {seen}")


libraries = ("nibabel", "numpy")
print("library:", *(f"{name} {version(name)}" for name in libraries))
print("guess: whole numbers that fit int16 are stored as they are, slope 1")
labels = np.zeros((4, 1, 1), np.float32)
labels[:, 0, 0] = 0, 1, 2, 3
image = nib.Nifti1Image(labels, np.eye(4))
image.set_data_dtype(np.int16)
nib.save(image, "labels.nii.gz")
saved = nib.load("labels.nii.gz")
print("seen: values read back:", saved.get_fdata().ravel().tolist())
expect("voxels of class 1 (1 was saved)", 0, int((saved.get_fdata() == 1).sum()))
expect("slope is 1", False, float(saved.dataobj.slope) == 1.0)
expect("classes after astype(int)", [0, 0, 1, 2], saved.get_fdata().astype(int).ravel().tolist())
exact = nib.Nifti1Image(labels.astype(np.int16), np.eye(4))
nib.save(exact, "exact.nii.gz")
again = nib.load("exact.nii.gz").get_fdata().astype(int).ravel().tolist()
expect("classes when cast first", [0, 1, 2, 3], again)
PY
