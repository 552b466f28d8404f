"""How long one forward pass takes at each level."""

import time
from collections.abc import Sequence
from typing import Any

import torch

from unetpp.models.deployed import autocast, for_inference
from unetpp.models.unetpp import UNetPlusPlus

__all__ = ["device_name", "measure_levels_s"]

_WARM_UP_ROUNDS = 2
_ROUNDS = 7
_KNOWN_S: dict[str, tuple[float, ...]] = {}
"""By all that a measurement depends on."""
_ENOUGH_S = 1.0
"""After it no further round of all levels begins; the first one that counts always does."""


def measure_levels_s(
    model: UNetPlusPlus,
    *,
    channels: int,
    size_px: tuple[int, ...],
    device: torch.device,
    levels: Sequence[int] | None = None,
    dilation: Sequence[int] | None = None,
) -> dict[int, float]:
    """Seconds for one image of `size_px`, for the sub-network pruned at each level, as predictions use it.

    The least of several passes: whatever else the machine does, such as other trials, only adds to a pass.
    Levels take turns, so that it slows all of them alike. Weights do not change a latency: networks that are
    equal but for them are measured once a process.

    Args:
        levels: every supervised one unless given.
        dilation: an entry per row, in place of the model's own.
    """
    measured = model.supervised_levels if levels is None else tuple(levels)
    rows = model.dilation if dilation is None else tuple(dilation)
    networks = [{**model.level_config(level), "dilation": rows[: level + 1]} for level in measured]
    key = repr((networks, channels, size_px, device, torch.get_num_threads()))
    if key not in _KNOWN_S:
        _KNOWN_S[key] = _measured_s(networks, channels, size_px, device)
    return dict(zip(measured, _KNOWN_S[key], strict=True))


def device_name(device: torch.device) -> str:
    """What a latency depends on beside the network: equal names mean comparable times."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{torch.backends.cpu.get_cpu_capability()} CPU, {torch.get_num_threads()} threads"


@torch.inference_mode()
def _measured_s(
    networks: Sequence[dict[str, Any]], channels: int, size_px: tuple[int, ...], device: torch.device
) -> tuple[float, ...]:
    """Of networks by the arguments of their constructor."""
    image = torch.zeros(1, channels, *size_px, device=device)
    built = [for_inference(_untrained(arguments), device) for arguments in networks]
    started_s = time.perf_counter()
    rounds: list[list[float]] = []
    # The first passes allocate and pick kernels: they are not counted.
    while len(rounds) < _WARM_UP_ROUNDS + _ROUNDS:
        rounds.append([_pass_s(network, image) for network in built])
        if len(rounds) > _WARM_UP_ROUNDS and time.perf_counter() - started_s > _ENOUGH_S:
            break
    return tuple(map(min, zip(*rounds[_WARM_UP_ROUNDS:], strict=True)))


def _untrained(arguments: dict[str, Any]) -> UNetPlusPlus:
    # A training's next draws come from the global generator, which must stand where it stood.
    with torch.random.fork_rng(devices=[]):
        return UNetPlusPlus(**arguments)


def _pass_s(model: UNetPlusPlus, image: torch.Tensor) -> float:
    start = time.perf_counter()
    with autocast(model, image.device):
        model(image)
    if image.device.type == "cuda":
        torch.cuda.synchronize(image.device)
    return time.perf_counter() - start
