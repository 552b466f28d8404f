#!/usr/bin/env bash
# Behaviour: scipy.ndimage.binary_closing REMOVES mask pixels at the edge of the array: its
# erosion takes the outside for background. A full 5x5 mask keeps 9 of 25 pixels. skimage's
# closing keeps all.
# Versions: scipy 1.17.1, scikit-image 0.26.0.
# Why it hurts: post-processing per tile cuts a seam of background along every tile border through
# objects that span it.
# Instead: pad by the radius with mode 'edge' before and crop after, or
# skimage.morphology.closing.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq scipy==1.17.1 scikit-image==0.26.0 numpy==2.4.6
cd "$work"
venv/bin/python -W ignore - <<'PY'
import sys
from importlib.metadata import version

import numpy as np
from scipy import ndimage
from skimage.morphology import closing


def expect(what, stated, seen):
    print(f"seen: {what}: {seen}")
    if seen != stated:
        sys.exit(f"changed: {what}: expected {stated}, seen {seen}")


libraries = ("scipy", "scikit-image")
print("library:", *(f"{name} {version(name)}" for name in libraries))
print("guess: closing only adds pixels, so a full mask stays full")
full = np.ones((5, 5), bool)
expect("pixels after scipy's closing", 9, int(ndimage.binary_closing(full).sum()))
expect("pixels after skimage's closing", 25, int(closing(full).sum()))
padded = np.pad(full, 1, mode="edge")
expect("padded first", 25, int(ndimage.binary_closing(padded)[1:-1, 1:-1].sum()))
PY
