#!/usr/bin/env bash
# Behaviour: of the processor time of a process that imports torch and ends, a third is Python's
# search for cyclic garbage: while modules are imported, and once more through all of them at exit.
# Versions: torch 2.13.0 (CPU), Python 3.11; with pandas and ray.data imported as well it is the same share.
# Why it hurts: every command, DataLoader worker and Ray worker pays it: 0.4 s with torch, 0.9 s with
# torch, pandas and Ray, for garbage that is not there and memory that the system frees anyhow.
# Instead: gc.freeze at exit (atexit.register), and a rare oldest generation while importing
# (gc.set_threshold(700, 10, 100)).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq torch==2.13.0 numpy==2.4.6
cd "$work"
venv/bin/python -W ignore - <<'PY'
import os
import subprocess
import sys
from importlib.metadata import version
from statistics import median

PLAIN = "import torch"
SPARED = (
    "import atexit, gc; gc.set_threshold(700, 10, 100); atexit.register(gc.freeze); import torch"
)


def processor_s(code):
    before = os.times()
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    after = os.times()
    return after.children_user - before.children_user + after.children_system - before.children_system


print("library: torch", version("torch"))
print("guess: imported modules are no garbage, and a process ends at once")
processor_s(PLAIN)  # compiles modules
turns = [(processor_s(PLAIN), processor_s(SPARED)) for _ in range(7)]
plain, spared = (median(column) for column in zip(*turns, strict=True))
print(f"seen: {plain:.2f} s of processor time, {spared:.2f} s with the search kept away")
if plain < 1.2 * spared:
    sys.exit(f"changed: expected at least 1.2 times, seen {plain / spared:.2f}")
PY
