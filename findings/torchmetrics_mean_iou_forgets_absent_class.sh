#!/usr/bin/env bash
# Behaviour: MeanIoU leaves out a class that neither the masks nor the prediction hold, and its
# per-class result says -1 for it: the mean over 3 classes is 1.0 where one was never tested, and
# a plain mean over the per-class values is 0.33.
# Versions: torchmetrics 1.9.0, torch 2.13.0.
# Why it hurts: the score of a rare class is good as long as it is absent, and averages of the
# per-class values are below what any class has.
# Instead: mask values below 0 before averaging, and report how many cases hold each class.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq torchmetrics==1.9.0 torch==2.13.0 numpy==2.4.6
cd "$work"
venv/bin/python -W ignore - <<'PY'
import sys
from importlib.metadata import version

import torch
from torchmetrics.segmentation import MeanIoU


def expect(what, stated, seen):
    print(f"seen: {what}: {seen}")
    if seen != stated:
        sys.exit(f"changed: {what}: expected {stated}, seen {seen}")


libraries = ("torchmetrics", "torch")
print("library:", *(f"{name} {version(name)}" for name in libraries))
print("guess: 0 or nan for the class without pixels")
labels = torch.tensor([[[0, 0, 1, 1]]])
mean = MeanIoU(num_classes=3, input_format="index")(labels, labels)
each = MeanIoU(num_classes=3, input_format="index", per_class=True)(labels, labels)
expect("mean over classes 0, 1 and the absent 2", 1.0, float(mean))
expect("per class", [1.0, 1.0, -1.0], each.tolist())
expect("mean of the per-class values", 0.333, round(float(each.mean()), 3))
PY
