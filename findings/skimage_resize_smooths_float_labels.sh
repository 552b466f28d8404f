#!/usr/bin/env bash
# Behaviour: transform.resize(order=0) of a FLOAT label map to a smaller size smooths it first
# (anti_aliasing is on for everything but bool and integers): order 0 gives values between the
# classes.
# Versions: scikit-image 0.26.0.
# Why it hurts: labels from get_fdata() or a float tensor turn into classes that no one drew; the
# same call on uint8 is right, so a test with integers passes.
# Instead: anti_aliasing=False, preserve_range=True, and integer labels.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq scikit-image==0.26.0 numpy==2.4.6
cd "$work"
venv/bin/python -W ignore - <<'PY'
import sys
from importlib.metadata import version

import numpy as np
from skimage.transform import resize


def expect(what, stated, seen):
    print(f"seen: {what}: {seen}")
    if seen != stated:
        sys.exit(f"changed: {what}: expected {stated}, seen {seen}")


libraries = ("scikit-image",)
print("library:", *(f"{name} {version(name)}" for name in libraries))
print("guess: order=0 is nearest neighbour, so only the classes 0 and 2 come out")
labels = np.zeros((64, 64))
labels[15:41, 19:50] = 2


def smaller(array, **options):
    return np.unique(resize(array, (16, 16), order=0, preserve_range=True, **options))


expect("uint8", [0, 2], smaller(labels.astype(np.uint8)).tolist())
print("seen: some values of float:", smaller(labels).round(4)[::6].tolist())
expect("float has only 0 and 2", False, bool(np.isin(smaller(labels), [0, 2]).all()))
expect("float rounded has class 1", True, 1 in smaller(labels).round())
expect("float, anti_aliasing=False", [0.0, 2.0], smaller(labels, anti_aliasing=False).tolist())
PY
