"""Sums over all workers; a run without a process group is a world of one."""

import torch
import torch.distributed as dist
from torch import Tensor

__all__ = ["any_rank", "sum_over_ranks"]


def sum_over_ranks(values: Tensor) -> Tensor:
    """The sum of every rank's tensor, in place."""
    if dist.is_initialized() and dist.get_world_size() > 1:
        dist.all_reduce(values)
    return values


def any_rank(flag: bool, device: torch.device) -> bool:
    """Whether the flag is set on any rank; all ranks get the same answer."""
    return bool(sum_over_ranks(torch.tensor([float(flag)], device=device)).item())
