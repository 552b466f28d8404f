"""Measures how fast this machine's CPU convolves in float32 and in bf16.

python -m unetpp.models.cpu_speed     prints the measurement as JSON, for processes that do without torch
"""

import json
import sys
import time
from dataclasses import asdict

import torch

from unetpp.core.cpu_speed import CpuSpeed, bf16_units, known_cpu_speed, remember_cpu_speed

__all__ = ["cpu_speed"]

_IMAGES, _CHANNELS, _SIDE_PX = 2, 64, 64
_ROUNDS = 6
"""The first allocates and picks kernels."""


def cpu_speed() -> CpuSpeed:
    """Of this machine, measured in a tenth of a second by this user's first process that asks."""
    known = known_cpu_speed()
    if known is None:
        known = _measured()
        remember_cpu_speed(known)
    return known


def _measured() -> CpuSpeed:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        # In turns, the least of each: whatever else the machine does slows both alike.
        rounds = [(_pass_s(torch.float32), _pass_s(torch.bfloat16)) for _ in range(_ROUNDS)]
    finally:
        torch.set_num_threads(threads)
    macs = 3 * 9 * _IMAGES * _CHANNELS**2 * _SIDE_PX**2
    fp32_gmacs, bf16_gmacs = (macs / min(seconds) / 1e9 for seconds in zip(*rounds, strict=True))
    return CpuSpeed(bf16_units(), round(fp32_gmacs, 1), round(bf16_gmacs, 1))


@torch.no_grad()
def _pass_s(dtype: torch.dtype) -> float:
    """CPU seconds of this thread for a convolution and its gradient."""
    images = torch.ones(_IMAGES, _CHANNELS, _SIDE_PX, _SIDE_PX, dtype=dtype)
    images = images.contiguous(memory_format=torch.channels_last)
    weight = torch.full((_CHANNELS, _CHANNELS, 3, 3), 0.01, dtype=dtype)
    start = time.thread_time()
    out = torch.conv2d(images, weight, padding=1)
    options = [1, 1], [1, 1], [1, 1], False, [0, 0], 1, [True, True, False]
    torch.ops.aten.convolution_backward(out, images, weight, None, *options)
    return time.thread_time() - start


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asdict(cpu_speed())) + "\n")
