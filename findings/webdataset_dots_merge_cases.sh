#!/usr/bin/env bash
# Behaviour: WebDataset takes a file name up to the FIRST dot for the key. Cases named case.001
# and case.002 become one sample, case, with fields 001.img.npy and so on; TarWriter accepts such
# keys.
# Versions: webdataset 1.0.2.
# Why it hurts: DICOM UIDs (1.2.840...) and file names with versions or dates have dots: a shard
# of a thousand cases is read as one sample.
# Instead: replace dots in keys before writing.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq webdataset==1.0.2 numpy==2.4.6
cd "$work"
venv/bin/python -W ignore - <<'PY'
import sys
from importlib.metadata import version

import numpy as np
import webdataset


def expect(what, stated, seen):
    print(f"seen: {what}: {seen}")
    if seen != stated:
        sys.exit(f"changed: {what}: expected {stated}, seen {seen}")


libraries = ("webdataset",)
print("library:", *(f"{name} {version(name)}" for name in libraries))
print("guess: two samples, as two keys were written")
with webdataset.TarWriter("cases.tar") as shard:
    for key in ("case.001", "case.002"):
        image = np.zeros((2, 2), np.uint8)
        shard.write({"__key__": key, "img.npy": image, "seg.npy": image})
samples = list(webdataset.WebDataset("cases.tar", shardshuffle=False))
expect("samples of 2 written", 1, len(samples))
expect("key", "case", samples[0]["__key__"])
fields = sorted(name for name in samples[0] if not name.startswith("__"))
expect("fields", ["001.img.npy", "001.seg.npy", "002.img.npy", "002.seg.npy"], fields)
PY
