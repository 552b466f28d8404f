#!/usr/bin/env bash
# Behaviour: cv2.imread turns a photo as its EXIF orientation says (but not with
# IMREAD_UNCHANGED); Pillow hands out the stored pixels.
# Versions: opencv-python-headless 5.0.0.93, Pillow 13.0.0.
# Why it hurts: a mask drawn on the photo in one library lies turned by 90 degrees on the image of
# the other; for square photos no shape differs and nothing fails.
# Instead: PIL.ImageOps.exif_transpose in Pillow or IMREAD_IGNORE_ORIENTATION in OpenCV, once,
# before annotation.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq \
    opencv-python-headless==5.0.0.93 Pillow==13.0.0 numpy==2.4.6
cd "$work"
venv/bin/python -W ignore - <<'PY'
import sys
from importlib.metadata import version

import cv2
import numpy as np
from PIL import Image


def expect(what, stated, seen):
    print(f"seen: {what}: {seen}")
    if seen != stated:
        sys.exit(f"changed: {what}: expected {stated}, seen {seen}")


libraries = ("opencv-python-headless", "Pillow")
print("library:", *(f"{name} {version(name)}" for name in libraries))
print("guess: both give the stored rows and columns")
photo = Image.fromarray(np.zeros((20, 30, 3), np.uint8))
exif = Image.Exif()
exif[274] = 6  # turn by 90 degrees to show
photo.save("photo.jpg", exif=exif)
expect("Pillow, rows and columns", (20, 30), np.asarray(Image.open("photo.jpg")).shape[:2])
expect("OpenCV", (30, 20), cv2.imread("photo.jpg").shape[:2])
unchanged = cv2.imread("photo.jpg", cv2.IMREAD_UNCHANGED)
expect("OpenCV with IMREAD_UNCHANGED", (20, 30), unchanged.shape[:2])
PY
