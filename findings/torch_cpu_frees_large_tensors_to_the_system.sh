#!/usr/bin/env bash
# Behaviour: on a CPU a freed tensor of more than 32 MiB goes back to the system, and the next one of its size
# is made of new pages, each cleared by the kernel: there is no caching allocator as there is for CUDA.
# Versions: torch 2.13.0 (CPU), Python 3.11, glibc 2.36; its limit grows to 32 MiB and no further.
# Why it hurts: features of a batch of 256 px are larger; a segmentation network's forward pass spends 15 to 25 %
# of its time on new pages, a training step 10 %.
# Instead: mallopt(M_MMAP_THRESHOLD) and mallopt(M_TRIM_THRESHOLD) in processes that compute, or another allocator.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq torch==2.13.0 numpy==2.4.6
cd "$work"
OMP_NUM_THREADS=1 venv/bin/python -W ignore - <<'PY'
import ctypes
import resource
import sys
from importlib.metadata import version
from statistics import median

import torch

MIB = 2**20
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


def new_pages_mib():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(16 * MIB)
    pages = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    return pages * resource.getpagesize() / MIB


torch.set_num_threads(1)
print("library: torch", version("torch"))
print("guess: the tenth tensor of 64 MiB takes the memory of the ninth")
seen = median(new_pages_mib() for _ in range(10))
libc = ctypes.CDLL(None)
libc.mallopt(M_MMAP_THRESHOLD, 256 * MIB)
libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
for _ in range(10):
    new_pages_mib()
kept = median(new_pages_mib() for _ in range(10))
print(f"seen: {seen:.0f} MiB of new pages for each, {kept:.0f} MiB once the heap keeps them")
if seen < 60 or kept > 4:
    sys.exit("changed: expected 64 and 0")
PY
