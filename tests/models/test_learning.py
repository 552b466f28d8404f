import pytest
import torch

from unetpp.config.sections.loss import LossConfig
from unetpp.models.unetpp import UNetPlusPlus
from unetpp.objective import SegmentationMetrics, build_objective


@pytest.mark.slow
@pytest.mark.parametrize("dense", ["unet", "plus", "pp"])
def test_training_noisy_discs_are_learnt_by_every_level(dense):
    rows, columns = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    centres = torch.tensor([[8, 9], [20, 12], [15, 24], [25, 25]])
    squared = (rows - centres[:, 0, None, None]) ** 2 + (columns - centres[:, 1, None, None]) ** 2
    masks = (squared < 36).to(torch.uint8)
    images = masks.unsqueeze(1).float() + 0.5 * torch.randn(4, 1, 32, 32)
    model = UNetPlusPlus(1, 1, depth=2, width=4, dense=dense)
    objective = build_objective(LossConfig(), "binary", model.supervised_levels)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(80):
        optimizer.zero_grad()
        objective(model(images), masks).mean().backward()
        optimizer.step()
    metrics = SegmentationMetrics(1, model.supervised_levels, "binary")
    with torch.no_grad():
        metrics.update(model(images), masks)
    assert all(level["dice"] > 0.9 for level in metrics.compute(["disc"])["levels"].values())
