"""Sums and maxima over all workers; a run without a process group is a world of one."""

from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor

__all__ = ["from_rank_0", "max_of_each", "max_over_ranks", "sum_over_ranks"]


def sum_over_ranks(values: Tensor) -> Tensor:
    """The sum of every rank's tensor, in place."""
    if dist.is_initialized() and dist.get_world_size() > 1:
        dist.all_reduce(values)
    return values


def max_over_ranks(value: int, device: torch.device) -> int:
    """The largest of every rank's value; all ranks get the same answer."""
    return max_of_each([value], device)[0]


def max_of_each(values: Sequence[int], device: torch.device) -> list[int]:
    """The same of several values, in one collective; each rank gives as many."""
    if not (dist.is_initialized() and dist.get_world_size() > 1):
        return list(values)
    largest = torch.tensor(values, device=device, dtype=torch.int64)
    dist.all_reduce(largest, op=dist.ReduceOp.MAX)
    return [int(value) for value in largest.tolist()]


def from_rank_0(values: Sequence[int], device: torch.device) -> list[int]:
    """Rank 0's integers, on every rank; each rank gives as many."""
    if not (dist.is_initialized() and dist.get_world_size() > 1):
        return list(values)
    sent = torch.tensor(values, device=device, dtype=torch.int64)
    dist.broadcast(sent, src=0)
    return [int(value) for value in sent.tolist()]
