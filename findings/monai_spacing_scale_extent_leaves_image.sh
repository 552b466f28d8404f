#!/usr/bin/env bash
# Behaviour: Spacing(scale_extent=True) keeps the number of voxels that the extent asks for, but
# centres the first new voxel ON the old outer edge: 10 voxels of 1 mm, from -0.5 to 9.5 mm,
# become 5 of 2 mm from -1.5 to 8.5 mm. The affine says so and the values agree. Without the
# option they become 6, to 11 mm.
# Versions: monai 1.6.1, torch 2.13.0.
# Why it hurts: the last millimetre is never seen by the net, and a volume resampled by another
# tool (nnU-Net, SimpleITK with the extent kept) has the same shape but lies a millimetre away:
# copied headers move masks.
# Instead: resample predictions back by the affine of the resampled image, never copy a header
# between tools.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq monai==1.6.1 torch==2.13.0 numpy==2.4.6
cd "$work"
venv/bin/python -W ignore - <<'PY'
import sys
from importlib.metadata import version

import torch
from monai.data import MetaTensor
from monai.transforms import Spacing


def expect(what, stated, seen):
    print(f"seen: {what}: {seen}")
    if seen != stated:
        sys.exit(f"changed: {what}: expected {stated}, seen {seen}")


libraries = ("monai", "torch")
print("library:", *(f"{name} {version(name)}" for name in libraries))
print("guess: the extent is kept: first voxel centre at +0.5 mm, last at 8.5 mm")
ramp = torch.arange(10.0).view(1, 10, 1, 1).expand(1, 10, 4, 4).clone()


def resampled(**options):
    spacing = Spacing(pixdim=(2, 1, 1), mode="bilinear", padding_mode="border", **options)
    result = spacing(MetaTensor(ramp, affine=torch.eye(4)))
    return result[0, :, 0, 0].tolist(), float(result.affine[0, 3])


extent, first = resampled(scale_extent=True)
expect("voxels, scale_extent=True", 5, len(extent))
expect("first centre in mm by the affine", -0.5, first)
expect("last centre in mm by the values", 7.5, round(extent[-1], 3))
expect("voxels by default", 6, len(resampled()[0]))
PY
