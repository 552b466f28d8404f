"""How long one forward pass takes at each level."""

import statistics
import time

import torch

from unetpp.models.unetpp import UNetPlusPlus
from unetpp.predict.device import autocast

__all__ = ["measure_levels_s"]

_REPEATS = 5


@torch.inference_mode()
def measure_levels_s(
    model: UNetPlusPlus, *, channels: int, size_px: tuple[int, int], device: torch.device
) -> dict[int, float]:
    """Median seconds for one image of `size_px`, for the sub-network pruned at each supervised level."""
    image = torch.zeros(1, channels, *size_px, device=device)
    pruned = {level: model.at_level(level).eval().to(device) for level in model.supervised_levels}
    return {level: _median_s(network, image) for level, network in pruned.items()}


def _median_s(model: UNetPlusPlus, image: torch.Tensor) -> float:
    times = []
    # The first pass allocates and picks kernels: it is not counted.
    for _ in range(_REPEATS + 1):
        start = time.perf_counter()
        with autocast(image.device):
            model(image)
        if image.device.type == "cuda":
            torch.cuda.synchronize(image.device)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])
