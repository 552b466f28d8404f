#!/usr/bin/env bash
# Behaviour: a FRACTIONAL DICOM segmentation holds bytes; highdicom rounds 0.5 to byte 128, which
# reads back as 0.50196.
# Versions: highdicom 0.28.2, pydicom 3.0.2.
# Why it hurts: a threshold `> 0.5` keeps no pixel before saving and all of them after: a net that
# is undecided (0.5) gives other masks from memory than from the archive.
# Instead: threshold before saving and store BINARY, or compare with `> 0.503`, which lies between
# bytes 128 and 129.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq highdicom==0.28.2 pydicom==3.0.2 numpy==2.4.6
cd "$work"
venv/bin/python -W ignore - <<'PY'
import sys
from importlib.metadata import version

import highdicom as hd
import numpy as np
import pydicom
from pydicom.data import get_testdata_file
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid


def expect(what, stated, seen):
    print(f"seen: {what}: {seen}")
    if seen != stated:
        sys.exit(f"changed: {what}: expected {stated}, seen {seen}")


libraries = ("highdicom", "pydicom")
print("library:", *(f"{name} {version(name)}" for name in libraries))
print("guess: values move by less than one step, so the mask above 0.5 stays as it is")
source = pydicom.dcmread(get_testdata_file("CT_small.dcm", download=False))
source.FrameOfReferenceUID, source.StudyID = generate_uid(), "1"
segment = hd.seg.SegmentDescription(
    1, "tissue", codes.SCT.Tissue, codes.SCT.Tissue, hd.seg.SegmentAlgorithmTypeValues.MANUAL
)
probability = np.full((128, 128), 0.5, np.float32)
hd.seg.Segmentation(
    [source], probability, hd.seg.SegmentationTypeValues.FRACTIONAL, [segment],
    generate_uid(), 1, generate_uid(), 1, "maker", "model", "1", "serial",
).save_as("probability.dcm")
saved = hd.seg.segread("probability.dcm")
again = saved.get_pixels_by_source_instance([source.SOPInstanceUID], segment_numbers=[1])
expect("byte stored for 0.5", [128], np.unique(saved.pixel_array).tolist())
expect("pixels above 0.5 before saving", 0, int((probability > 0.5).sum()))
expect("pixels above 0.5 after reading", 128 * 128, int((again > 0.5).sum()))
PY
