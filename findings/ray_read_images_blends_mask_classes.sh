#!/usr/bin/env bash
# Behaviour: ray.data.read_images(size=...) resizes with a bilinear filter: an 8-bit mask of 0 and
# 200 comes back with values between them. Palette PNGs stay clean, and mode='L' turns their
# indices into grey levels of the colours.
# Versions: ray 2.60.0, Pillow 13.0.0.
# Why it hurts: a pipeline that reads images and masks alike trains on classes that no one drew,
# along every border.
# Instead: read at full size and resize masks in map_batches with nearest neighbour.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq 'ray[data]==2.60.0' Pillow==13.0.0 numpy==2.4.6
cd "$work"
export RAY_USAGE_STATS_ENABLED=0
venv/bin/python -W ignore - <<'PY'
import logging
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import ray
from PIL import Image


def expect(what, stated, seen):
    print(f"seen: {what}: {seen}")
    if seen != stated:
        sys.exit(f"changed: {what}: expected {stated}, seen {seen}")


libraries = ("ray", "Pillow")
print("library:", *(f"{name} {version(name)}" for name in libraries))
print("guess: nearest for single-channel 8-bit files, or at least no new values for masks")
mask = np.zeros((64, 64), np.uint8)
mask[15:40, 11:50] = 200
Path("grey").mkdir()
Image.fromarray(mask).save("grey/mask.png")
Path("palette").mkdir()
indexed = Image.fromarray(mask // 100)
indexed.putpalette([0, 0, 0, 0, 255, 0, 255, 0, 0] + [0] * 759)
indexed.save("palette/mask.png")
ray.init(
    num_cpus=1, include_dashboard=False, object_store_memory=100 * 2**20,
    logging_level="ERROR", log_to_driver=False, _temp_dir=str(Path("ray").resolve()),
)
logging.disable(logging.WARNING)
ray.data.DataContext.get_current().enable_progress_bars = False


def values(folder, **options):
    rows = ray.data.read_images(str(Path(folder).resolve()), **options).take_all()
    return np.unique(rows[0]["image"]).tolist()


expect("grey, full size", [0, 200], values("grey"))
small = values("grey", size=(16, 16))
print("seen: grey, 16x16:", small)
expect("grey, 16x16, only 0 and 200", False, set(small) <= {0, 200})
expect("palette, full size", [0, 2], values("palette"))
expect("palette, 16x16", [0, 2], values("palette", size=(16, 16)))
expect("palette, mode L", [0, 76], values("palette", mode="L"))
ray.shutdown()
PY
