"""Optimisers give what torch's give, from views of channels-last tensors and without torch's compiler."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from unetpp.compat import torch as compat


def _trained(kind: Any, memory_format: torch.memory_format, dims: int) -> tuple[Any, Any]:
    torch.manual_seed(0)
    layer: Any = torch.nn.Conv2d if dims == 2 else torch.nn.Conv3d
    net = torch.nn.Sequential(layer(3, 4, 3), layer(4, 2, 1)).to(memory_format=memory_format)
    optimizer = kind(net.parameters(), lr=1e-6, weight_decay=0.1, fused=True)
    for _ in range(3):
        optimizer.zero_grad()
        net(torch.arange(3.0 * 5**dims).view(1, 3, *[5] * dims)).square().mean().backward()
        optimizer.step()
    return net, optimizer


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
@pytest.mark.parametrize(
    ("memory_format", "dims"),
    [(torch.channels_last, 2), (torch.channels_last_3d, 3), (torch.contiguous_format, 2)],
    ids=["2D", "3D", "contiguous"],
)
def test_optimiser_in_any_memory_format_is_torch_s(name: str, memory_format: Any, dims: int) -> None:
    net, optimizer = _trained(getattr(compat, name), memory_format, dims)
    expected_net, expected = _trained(getattr(torch.optim, name), memory_format, dims)
    for found, true in zip(net.parameters(), expected_net.parameters(), strict=True):
        assert torch.equal(found, true)
    state, true_state = optimizer.state_dict(), expected.state_dict()
    assert state["param_groups"] == true_state["param_groups"]
    for index, moments in state["state"].items():
        for key, value in moments.items():
            assert torch.equal(value, true_state["state"][index][key])
            assert value.stride() == true_state["state"][index][key].stride()


@pytest.mark.slow
def test_training_starts_without_importing_the_compiler(tmp_path: Path) -> None:
    program = """
import sys, torch
from torch.distributed import init_process_group
from unetpp.compat.torch import DataParallel
from unetpp.config import load_config
from unetpp.training.loop.optim import build_optimizer, build_schedule
init_process_group("gloo", f"file://{sys.argv[1]}", rank=0, world_size=1)
for name in ("sgd", "adam", "adamw"):
    network = DataParallel(torch.nn.Linear(2, 2), gradient_as_bucket_view=True)
    config = load_config(None, [f"optim.name={name}"]).optim
    optimizer = build_optimizer(network, config)
    optimizer.load_state_dict(optimizer.state_dict())
    schedule = build_schedule(optimizer, config, 10)
    optimizer.zero_grad()
    network(torch.ones(2, 2)).sum().backward()
    optimizer.step()
    schedule.step()
assert "torch._dynamo" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program, tmp_path / "store"], check=True)
