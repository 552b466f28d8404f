"""The step that the device decides about, on a CPU, whose fused Adam skips as CUDA's does."""

import math
from collections import deque
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from fakes import tiny_config
from unetpp.core.errors import NonFiniteError
from unetpp.training.loop.loop import advance, totals
from unetpp.training.loop.optim import build_optimizer
from unetpp.training.loop.state import EpochSums, TrainState
from unetpp.training.loop.update import StepResult, update, update_on_device


def _learner(name: str) -> Any:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
    optimizer = build_optimizer(model, tiny_config("data", optim={"name": name}).optim)
    return SimpleNamespace(model=model, optimizer=optimizer, ema=None, device=torch.device("cpu"))


def _backward(learner: Any, scale: float) -> tuple[torch.Tensor, list[torch.Tensor]]:
    buffers = [buffer.clone() for buffer in learner.model.buffers()]
    learner.optimizer.zero_grad()
    images = torch.arange(50.0).view(2, 1, 5, 5)
    (learner.model(images).square().sum() * scale).backward()
    return torch.nn.utils.clip_grad_norm_(learner.model.parameters(), 1.0), buffers


def _everything(learner: Any) -> list[torch.Tensor]:
    moments = [tensor for state in learner.optimizer.state.values() for tensor in state.values()]
    return [tensor.detach().clone() for tensor in (*learner.model.state_dict().values(), *moments)]


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_update_on_device_equals_the_host_s_whether_or_not_a_step_is_skipped(name: str) -> None:
    by_host, by_device = _learner(name), _learner(name)
    for scale in (1.0, math.inf, 1.0, math.nan, 2.0):
        update(by_host, *_backward(by_host, scale))
        update_on_device(by_device, *_backward(by_device, scale))
    for expected, found in zip(_everything(by_host), _everything(by_device), strict=True):
        assert torch.equal(found, expected)


class _Late(StepResult):
    """As on a device that is one step behind."""

    def is_ready(self) -> bool:
        return False


def _counted(
    kind: type[StepResult], norms: list[float], most: int = 9
) -> tuple[TrainState, EpochSums, list[int]]:
    config = tiny_config("data", train={"max_nonfinite": most})
    learner = SimpleNamespace(device=torch.device("cpu"))
    context: Any = SimpleNamespace(
        config=config, learner=learner, rank=0, world_size=1, unread=deque[StepResult]()
    )
    state, sums, seen = TrainState(), EpochSums(), []
    for number, norm in enumerate(norms):
        result = kind(4, torch.tensor(float(number)), torch.tensor(norm), step=number + 1)
        advance(context, state, sums, result, 0.0, 1.0)
        seen.append(sums.images)
    return state, totals(context, state, sums), seen


def test_results_that_come_late_are_counted_a_step_later_and_all_in_the_totals() -> None:
    norms = [1.0, math.nan, 1.0, math.inf]
    (state, sums, seen), (late_state, late_sums, late_seen) = (
        _counted(k, norms) for k in (StepResult, _Late)
    )
    assert (seen, late_seen) == ([4, 8, 12, 16], [0, 4, 8, 12])
    assert late_sums == sums
    assert (sums.loss, sums.images, sums.skipped_steps, state.nonfinite_steps) == (2.0, 16, 2, 2)
    assert late_state == state


@pytest.mark.parametrize("kind", [StepResult, _Late])
def test_the_step_that_diverged_is_named_also_where_its_result_comes_late(kind: type[StepResult]) -> None:
    with pytest.raises(NonFiniteError, match="the last at step 3;"):
        _counted(kind, [1.0, math.nan, math.inf, 1.0, 1.0], most=1)
