#!/usr/bin/env bash
# Behaviour: cv2.imwrite of an int32 label map to PNG returns True and writes 8 bits with every id
# above 255 set to 255 (a line on standard error is the only sign). TIFF keeps int32.
# Versions: opencv-python-headless 5.0.0.93.
# Why it hurts: instance maps (cv2.connectedComponents gives int32) lose every object after the
# 255th: they become one.
# Instead: astype(np.uint16) before writing PNG, and read with IMREAD_UNCHANGED.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq opencv-python-headless==5.0.0.93 numpy==2.4.6
cd "$work"
venv/bin/python -W ignore - <<'PY'
import sys
from importlib.metadata import version

import cv2
import numpy as np


def expect(what, stated, seen):
    print(f"seen: {what}: {seen}")
    if seen != stated:
        sys.exit(f"changed: {what}: expected {stated}, seen {seen}")


libraries = ("opencv-python-headless",)
print("library:", *(f"{name} {version(name)}" for name in libraries))
print("guess: 16 bits, as PNG can, or an error")
ids = np.array([[0, 1, 254, 255, 256, 300]], np.int32)
expect("imwrite returns", True, cv2.imwrite("ids.png", ids))
saved = cv2.imread("ids.png", cv2.IMREAD_UNCHANGED)
expect("ids read back", [0, 1, 254, 255, 255, 255], saved[0].tolist())
expect("type", "uint8", str(saved.dtype))
cv2.imwrite("ids.png", ids.astype(np.uint16))
expect("uint16", ids[0].tolist(), cv2.imread("ids.png", cv2.IMREAD_UNCHANGED)[0].tolist())
PY
