"""Ranks of a process group, each in a process of its own, without Ray."""

import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path

import torch.distributed as dist

__all__ = ["CONTEXT", "run_ranks"]

# What a rank imports takes it two seconds; a copy of a process that has imported it takes none. The last two
# are what torch imports where it shall be deterministic, and pyarrow where it gives columns away.
_PRELOADED = ["torch", "torch.distributed", "unetpp.training.run.rank", "torch._inductor", "pandas"]
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(_PRELOADED)


def run_ranks(world_size: int, store: Path, function: Callable[..., None], *arguments: object) -> set[int]:
    """Call `function(rank, *arguments)` in a gloo group that meets at the file `store`; the exit codes."""
    ranks = [
        CONTEXT.Process(target=_run_rank, args=(rank, world_size, str(store), function, arguments))
        for rank in range(world_size)
    ]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join()
    return {process.exitcode or 0 for process in ranks}


def _run_rank(
    rank: int, world_size: int, store: str, function: Callable[..., None], arguments: tuple[object, ...]
) -> None:
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=world_size)
    function(rank, *arguments)
    dist.barrier()
    # Destroying the group here races with the other rank's last collective.
    os._exit(0)
