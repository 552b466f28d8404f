#!/usr/bin/env bash
# Behaviour: Pillow chooses the bits per pixel of a palette PNG by the number of palette colours,
# not by the pixels, and cuts the higher bits off: with 3 colours, 255 (ignore) is saved as 3;
# with 17 or more it stays.
# Versions: Pillow 13.0.0.
# Why it hurts: VOC-style masks lose the ignore label: 255 turns into class 1, 3 or 15, which may
# be a real class.
# Instead: always write a palette of 256 colours.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq Pillow==13.0.0 numpy==2.4.6
cd "$work"
venv/bin/python -W ignore - <<'PY'
import sys
from importlib.metadata import version

import numpy as np
from PIL import Image


def expect(what, stated, seen):
    print(f"seen: {what}: {seen}")
    if seen != stated:
        sys.exit(f"changed: {what}: expected {stated}, seen {seen}")


libraries = ("Pillow",)
print("library:", *(f"{name} {version(name)}" for name in libraries))
print("guess: indices are kept whatever the palette")
for colours, stored in ((2, 1), (3, 3), (16, 15), (17, 255), (256, 255)):
    image = Image.fromarray(np.array([[0, 1, 0, 255]], np.uint8))
    image.putpalette([channel % 256 for channel in range(3 * colours)])
    image.save("mask.png")
    saved = np.asarray(Image.open("mask.png"))[0].tolist()
    expect(f"[0, 1, 0, 255] with {colours} colours", [0, 1, 0, stored], saved)
PY
