"""Random logits and masks of every task."""

from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from unetpp.core.manifest import IGNORE, Task

TASKS: tuple[Task, ...] = ("binary", "multiclass", "multilabel")


class Batch(NamedTuple):
    logits: Tensor
    mask: Tensor
    task: Task

    @property
    def softmax(self) -> bool:
        return self.task == "multiclass"


def make_batch(task: Task, *, ignored: float = 0.0, seed: int = 0, size: tuple[int, ...] = (7, 9)) -> Batch:
    """Three images; logits float32 that require a gradient, and a share of ignored pixels."""
    generator = torch.Generator().manual_seed(seed)
    channels = 1 if task == "binary" else 3
    values = {"binary": 2, "multiclass": 3, "multilabel": 8}[task]
    mask = torch.randint(0, values, (3, *size), generator=generator).to(torch.uint8)
    mask[torch.rand(mask.shape, generator=generator) < ignored] = IGNORE
    logits = torch.randn(3, channels, *size, generator=generator) * 2
    return Batch(logits.requires_grad_(), mask, task)


@pytest.fixture(params=TASKS)
def task(request: pytest.FixtureRequest) -> Task:
    """Each task in turn."""
    return request.param


@pytest.fixture(name="make_batch")
def _make_batch():
    return make_batch
