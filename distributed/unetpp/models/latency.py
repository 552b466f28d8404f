"""How long one forward pass takes at each level."""

import time
from collections.abc import Sequence

import torch

from unetpp.models.unetpp import UNetPlusPlus

__all__ = ["device_name", "measure_levels_s"]

_WARM_UP_ROUNDS = 2
_ROUNDS = 7
_MOST_S = 5.0
"""After which no further round begins, but one that counts: large networks need no seven."""


@torch.inference_mode()
def measure_levels_s(
    model: UNetPlusPlus,
    *,
    channels: int,
    size_px: tuple[int, ...],
    device: torch.device,
    levels: Sequence[int] | None = None,
) -> dict[int, float]:
    """Seconds for one image of `size_px`, for the sub-network pruned at each level.

    The least of several passes: whatever else the machine does, such as other trials, only adds to a pass.
    Levels take turns, so that it slows all of them alike. bf16 on a GPU.

    Args:
        levels: every supervised one unless given.
    """
    image = torch.zeros(1, channels, *size_px, device=device)
    measured = model.supervised_levels if levels is None else levels
    pruned = {level: model.at_level(level).eval().to(device) for level in measured}
    times: dict[int, list[float]] = {level: [] for level in pruned}
    # The first passes allocate and pick kernels: they are not counted.
    began_s = time.perf_counter()
    for round_number in range(_WARM_UP_ROUNDS + _ROUNDS):
        if round_number > _WARM_UP_ROUNDS and time.perf_counter() - began_s > _MOST_S:
            break
        for level, network in pruned.items():
            seconds = _pass_s(network, image)
            if round_number >= _WARM_UP_ROUNDS:
                times[level].append(seconds)
    return {level: min(values) for level, values in times.items()}


def device_name(device: torch.device) -> str:
    """What a latency depends on beside the network: equal names mean comparable times."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{torch.backends.cpu.get_cpu_capability()} CPU, {torch.get_num_threads()} threads"


def _pass_s(model: UNetPlusPlus, image: torch.Tensor) -> float:
    start = time.perf_counter()
    with torch.autocast(image.device.type, torch.bfloat16, enabled=image.device.type == "cuda"):
        model(image)
    if image.device.type == "cuda":
        torch.cuda.synchronize(image.device)
    return time.perf_counter() - start
