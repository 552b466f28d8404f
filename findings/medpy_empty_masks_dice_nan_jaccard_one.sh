#!/usr/bin/env bash
# Behaviour: for two empty masks MedPy gives Dice nan (with a RuntimeWarning) and Jaccard 1.0,
# although each follows from the other. Both mean to return 1.0, but NumPy's counts no longer
# raise ZeroDivisionError.
# Versions: MedPy 0.5.2, numpy 2.4.6.
# Why it hurts: one healthy case makes the mean Dice of a data set nan, or is dropped by nanmean,
# while the mean Jaccard counts it as perfect.
# Instead: decide on empty pairs yourself before calling, and count them apart.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq MedPy==0.5.2 SimpleITK==2.5.7 scipy==1.17.1 numpy==2.4.6
cd "$work"
venv/bin/python -W ignore - <<'PY'
import sys
from importlib.metadata import version

import numpy as np
from medpy.metric import binary


def expect(what, stated, seen):
    print(f"seen: {what}: {seen}")
    if seen != stated:
        sys.exit(f"changed: {what}: expected {stated}, seen {seen}")


libraries = ("MedPy", "numpy")
print("library:", *(f"{name} {version(name)}" for name in libraries))
print("guess: the two agree: 1.0 and 1.0")
empty = np.zeros((5, 5), bool)
expect("Dice is nan", True, bool(np.isnan(binary.dc(empty, empty))))
expect("Jaccard", 1.0, float(binary.jc(empty, empty)))
PY
