"""One process of a two-process DDP group: two steps, then rank 0 saves the gradients.

Arguments: rank, world size, folder for the rendezvous and the result, options as JSON.
"""

import json
import os
import sys
from pathlib import Path

import torch
import torch.distributed as dist

from unetpp.compat.torch import DataParallel
from unetpp.config.sections.loss import LossConfig
from unetpp.models.unetpp import UNetPlusPlus
from unetpp.objective import build_objective


def gradients(rank: int, world_size: int, options: dict[str, object]) -> dict[str, torch.Tensor]:
    """Gradients of the mean loss of four images, after two steps with equal inputs."""
    torch.manual_seed(0)
    network = UNetPlusPlus(2, 1, depth=2, width=4, **options)
    model = DataParallel(network) if world_size > 1 else network
    objective = build_objective(LossConfig(focal=0.3), "binary", network.supervised_levels)
    share = slice(rank * 4 // world_size, (rank + 1) * 4 // world_size)
    images, masks = torch.randn(4, 2, 17, 16), torch.randint(0, 2, (4, 17, 16), dtype=torch.uint8)
    labels = torch.tensor([-1, -1, 1, -1])
    for _ in range(2):  # DDP reports parameters without a gradient in the step after
        network.zero_grad()
        losses = objective(model(images[share]), masks[share], labels[share])
        (losses.sum() * (world_size / 4)).backward()
    return {name: parameter.grad for name, parameter in network.named_parameters()}


def main(rank: int, world_size: int, folder: Path, options: dict[str, object]) -> None:
    torch.set_num_threads(1)
    store = f"file://{folder / 'store'}"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=world_size)
    found = gradients(rank, world_size, options)
    if rank == 0:
        torch.save(found, folder / "gradients.pt")
    dist.barrier()
    # Gloo's threads race with the interpreter's end, which then aborts now and again.
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), json.loads(sys.argv[4]))
