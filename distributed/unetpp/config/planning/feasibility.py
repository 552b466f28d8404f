"""Whether a training fits into memory, found out before it is launched."""

from dataclasses import dataclass

from unetpp.config.planning.memory import training_need
from unetpp.config.run import RunConfig

__all__ = ["Shortage", "check"]

_GIB = 2**30
_MEMORY_SHARE = 0.8
"""Share of its memory that a worker may plan with; the rest is the allocator's and the kernels'."""


@dataclass(frozen=True)
class Shortage:
    """Why a training does not fit."""

    reason: str
    violation: float
    """How much more than all memory it needs, as a share of what there is; above 0."""

    def __str__(self) -> str:
        return self.reason


def check(config: RunConfig, memory_bytes: int | None) -> Shortage | None:
    """Compare what one worker needs with what it has; None if it fits, or if no limit is known.

    Args:
        config: with every `auto` decided.
        memory_bytes: a worker's part of its device, see `worker_memory_bytes`.
    """
    if memory_bytes is None:
        return None
    need, free_bytes = training_need(config), int(memory_bytes * _MEMORY_SHARE)
    samples = -(-int(config.data.batch_size) // (config.min_workers * config.train.accumulate))
    needed_bytes = need.total_bytes(samples)
    if needed_bytes <= free_bytes:
        return None
    reason = (
        f"needs {need.sample_bytes * samples / _GIB:.1f} GiB of activations for batch {samples} at "
        f"{config.data.crop} px and {need.weight_bytes / _GIB:.1f} GiB for its weights with "
        f"{config.optim.name}, {free_bytes / _GIB:.1f} GiB free; "
        + ("train.memory=recompute, or " if config.train.memory == "keep" else "")
        + "lower data.batch_size, data.crop or the space's model.width and model.depth"
    )
    return Shortage(reason, needed_bytes / max(free_bytes, 1) - 1)
