#!/usr/bin/env bash
# Behaviour: under bf16 autocast on a CPU with AVX512-BF16 the gradients of a depthwise convolution in
# channels-last memory take several times as long as in float32, where the forward pass takes less: the
# weights' of a kernel of 5, and the input's at stride 2.
# Versions: torch 2.13.0 (CPU), which has oneDNN; Python 3.11.
# Why it hurts: EfficientNet and MobileNet encoders train slower in bf16 than they could: two fifths of a step.
# Instead: the weights' gradient in float32; the input's at stride 2 as a convolution of stride 1 over the
# gradient with zeros between, which gives the same values.
set -euo pipefail
if ! grep -qw avx512_bf16 /proc/cpuinfo; then
    echo "not shown: this CPU has no avx512_bf16"
    exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq torch==2.13.0 numpy==2.4.6
cd "$work"
OMP_NUM_THREADS=1 venv/bin/python -W ignore - <<'PY'
import sys
import time
from importlib.metadata import version

import torch

CASES = {
    "weights, kernel 5": ((8, 672, 16, 16), 5, 1, [False, True, False]),
    "input, kernel 5, stride 2": ((8, 144, 67, 67), 5, 2, [True, False, False]),
}


def least_ms(work):
    times = []
    for _ in range(7):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return 1000 * min(times[1:])


def measured(size, kernel, stride, mask, dtype):
    channels, padding = size[1], kernel // 2 if stride == 1 else 0
    x = torch.rand(size).to(dtype).to(memory_format=torch.channels_last)
    weight = torch.rand(channels, 1, kernel, kernel).to(dtype)

    def forward():
        return torch.conv2d(x, weight, None, stride, padding, 1, channels)

    grad = torch.ones_like(forward())
    sides = [stride] * 2, [padding] * 2, [1, 1]

    def backward():
        torch.ops.aten.convolution_backward(grad, x, weight, [channels], *sides, False, [0, 0], channels, mask)

    return least_ms(forward), least_ms(backward)


torch.set_num_threads(1)
print("library: torch", version("torch"))
print("guess: bf16 is as fast as float32, or faster, forwards and backwards")
for case, arguments in CASES.items():
    full, half = (measured(*arguments, dtype) for dtype in (torch.float32, torch.bfloat16))
    print(f"seen: {case}: {half[1]:.1f} ms in bf16, {full[1]:.1f} ms in float32; forwards {half[0]:.1f} and {full[0]:.1f}")
    if half[1] < 2 * full[1]:
        sys.exit(f"changed: expected at least twice the time in bf16, seen {half[1] / full[1]:.1f}")
PY
