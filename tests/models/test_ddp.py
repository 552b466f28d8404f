"""Two processes that share their gradients have those of one."""

from pathlib import Path

import pytest
import torch

from ranks import run_ranks
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


def run_rank(rank: int, options: dict[str, object], file: Path) -> None:
    torch.set_num_threads(1)
    found = gradients(rank, 2, options)
    if rank == 0:
        torch.save(found, file)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"norm": "group", "attention": True, "image_classes": 3},
        {"norm": "instance", "dense": "plus", "deep_supervision": False, "upsample": "pixelshuffle"},
        pytest.param({"norm": "none", "dense": "unet", "upsample": "deconv"}, marks=pytest.mark.nightly),
        {"encoder": "lite0", "stem_stride": 2, "image_classes": 3},
    ],
    ids=str,
)
def test_ddp_two_processes_have_the_gradients_of_one(options, tmp_path):
    file = tmp_path / "gradients.pt"
    assert run_ranks(2, tmp_path / "store", run_rank, options, file) == {0}
    shared, alone = torch.load(file, weights_only=True), gradients(0, 1, options)
    assert shared.keys() == alone.keys()
    for name, gradient in alone.items():
        torch.testing.assert_close(shared[name], gradient, atol=1e-6, rtol=1e-4, msg=name)
