#!/usr/bin/env bash
# Behaviour: four libraries count the objects of one mask: skimage.measure.label and cc3d join
# pixels that touch at a corner, scipy.ndimage.label and SimpleITK's ConnectedComponent do not.
# Versions: scikit-image 0.26.0, scipy 1.17.1, SimpleITK 2.5.7, connected-components-3d 4.1.1.
# Why it hurts: lesion counts, F1 per object and the removal of small objects depend on which
# import was at hand; a thin diagonal vessel is 1 object or as many as it has pixels.
# Instead: name the connectivity in every call, and once in the report.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq \
    scikit-image==0.26.0 scipy==1.17.1 SimpleITK==2.5.7 connected-components-3d==4.1.1 \
    numpy==2.4.6
cd "$work"
venv/bin/python -W ignore - <<'PY'
import sys
from importlib.metadata import version

import cc3d
import numpy as np
import SimpleITK as sitk
from scipy import ndimage
from skimage.measure import label


def expect(what, stated, seen):
    print(f"seen: {what}: {seen}")
    if seen != stated:
        sys.exit(f"changed: {what}: expected {stated}, seen {seen}")


libraries = ("scikit-image", "scipy", "SimpleITK", "connected-components-3d")
print("library:", *(f"{name} {version(name)}" for name in libraries))
print("guess: the defaults agree, so the diagonal is one object (or four) everywhere")
mask = np.eye(4, dtype=np.uint8)
expect("skimage", 1, int(label(mask).max()))
expect("cc3d", 1, int(cc3d.connected_components(mask).max()))
expect("scipy", 4, ndimage.label(mask)[1])
objects = sitk.ConnectedComponent(sitk.GetImageFromArray(mask))
expect("SimpleITK", 4, int(sitk.GetArrayFromImage(objects).max()))
PY
