"""Whether a trial's training fits into memory, found out before it is launched."""

from dataclasses import dataclass

from unetpp.config.run import RunConfig
from unetpp.models.cost import count_cost

__all__ = ["Shortage", "check"]

_GIB = 2**30
_FLOAT_BYTES = 4
_BF16_SHARE = 0.5
_WEIGHT_COPIES = {"adamw": 4, "adam": 4, "sgd": 3}
"""Weights, gradients and the optimiser's state, in multiples of the weights."""


@dataclass(frozen=True)
class Shortage:
    """Why a training does not fit."""

    reason: str
    violation: float
    """How much more than all memory it needs, as a share of what there is; above 0."""

    def __str__(self) -> str:
        return self.reason


def check(config: RunConfig, memory_bytes: int) -> Shortage | None:
    """Compare what one worker needs with what its device has; None if it fits.

    Counted are the tensors kept for the backward pass of one worker's share of the batch, and weights,
    gradients, optimiser state and moving average. What the allocator and the kernels' workspaces take comes
    on top, so `memory_bytes` should leave them room.

    Args:
        config: with every `auto` decided.
        memory_bytes: of the device, as far as one worker may use it.
    """
    cost = count_cost(config.model, int(config.data.crop))
    deepest = cost[max(cost)]
    samples = -(-int(config.data.batch_size) // (config.min_workers * config.train.accumulate))
    precision = _BF16_SHARE if config.train.precision == "bf16" else 1.0
    activation_bytes = int(deepest.activation_bytes * samples * precision)
    copies = _WEIGHT_COPIES[config.optim.name] + (config.train.ema > 0)
    weight_bytes = deepest.params * _FLOAT_BYTES * copies
    needed_bytes = activation_bytes + weight_bytes
    if needed_bytes <= memory_bytes:
        return None
    reason = (
        f"needs {activation_bytes / _GIB:.1f} GiB of activations for batch {samples} at "
        f"{config.data.crop} px and {weight_bytes / _GIB:.1f} GiB for {deepest.params / 1e6:.1f} M weights "
        f"with {config.optim.name}, {memory_bytes / _GIB:.1f} GiB free; "
        f"{deepest.macs * samples / 1e9:.0f} GMACs a forward pass; "
        "lower data.batch_size, data.crop or the space's model.width and model.depth"
    )
    return Shortage(reason, needed_bytes / max(memory_bytes, 1) - 1)
