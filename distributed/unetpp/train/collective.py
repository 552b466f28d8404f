"""Sums and maxima over all workers; a run without a process group is a world of one."""

import torch
import torch.distributed as dist
from torch import Tensor

__all__ = ["max_over_ranks", "sum_over_ranks"]


def sum_over_ranks(values: Tensor) -> Tensor:
    """The sum of every rank's tensor, in place."""
    if dist.is_initialized() and dist.get_world_size() > 1:
        dist.all_reduce(values)
    return values


def max_over_ranks(value: int, device: torch.device) -> int:
    """The largest of every rank's value; all ranks get the same answer."""
    if not (dist.is_initialized() and dist.get_world_size() > 1):
        return value
    largest = torch.tensor([value], device=device)
    dist.all_reduce(largest, op=dist.ReduceOp.MAX)
    return int(largest.item())
