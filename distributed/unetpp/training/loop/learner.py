"""Everything that learning changes, gathered so that a checkpoint can save it whole."""

import os
import shutil
from collections.abc import Sequence

import safetensors.torch
import torch
import torch.distributed as dist
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from unetpp.compat.torch import DataParallel
from unetpp.config.adversarial import USUAL_EPSILON
from unetpp.config.run import RunConfig
from unetpp.core.errors import ConfigError
from unetpp.core.manifest import Manifest
from unetpp.core.seeds import derive_seed
from unetpp.models import build_model
from unetpp.models.layers import channels_last
from unetpp.models.normalise import Normalise
from unetpp.models.unetpp import UNetPlusPlus
from unetpp.objective import Objective, build_objective
from unetpp.objective.attacks.attack import Attack
from unetpp.training.loop.optim import (
    build_optimizer,
    build_schedule,
    build_time_schedule,
    column_rows,
    set_rates,
)
from unetpp.training.loop.sync_bn import CountedImages, convert_bn

__all__ = ["Learner"]


class Learner:
    """Model, objective, optimiser, learning-rate schedule and averaged weights on one device.

    Args:
        config: every `auto` decided.
        manifest: the dataset.
        total_steps: optimiser steps of the whole run, for the learning-rate schedule; None goes by time.
        device: where to train.
        initial: weights to start with, a safetensors file; what it lacks is drawn at random.
    """

    def __init__(
        self,
        config: RunConfig,
        manifest: Manifest,
        total_steps: int | None,
        device: torch.device,
        initial: bytes | None = None,
    ) -> None:
        self.device = device
        self.shares_dilations = bool(config.model.shared_dilations)
        """Whether the weights are those of several vectors of dilations."""
        # All ranks draw the same weights, so nothing needs to be broadcast to start equal.
        torch.manual_seed(derive_seed("weights", config.train.seed))
        model = build_model(config.model)
        model.recompute = config.train.memory == "recompute"
        if initial is not None:
            model.load_state_dict(safetensors.torch.load(initial), strict=False)
        self.counted = CountedImages()
        if config.train.sync_bn or _workers() > 1:
            convert_bn(model, self.counted, device, sync=bool(config.train.sync_bn))
        last = channels_last(model.spatial_dims)
        memory_format = last if config.train.channels_last else torch.contiguous_format
        self.model: UNetPlusPlus = model.to(device)
        self.model.to(memory_format=memory_format)  # type: ignore[call-overload]  # missing in torch's stubs
        self._column_is_held = False
        self._compiles, self._syncs_bn = config.train.compile, bool(config.train.sync_bn)
        self.network: nn.Module = self._wrap()
        self.objective: Objective = build_objective(config.loss, manifest.task, model.supervised_levels)
        self.normalise = Normalise(manifest.channel_stats).to(device)
        self.optimizer: torch.optim.Optimizer = build_optimizer(self.model, config.optim)
        self._time_step = 0
        self.schedule: LambdaLR = (
            build_time_schedule(self.optimizer, config.optim, lambda: self._time_step)
            if total_steps is None
            else build_schedule(self.optimizer, config.optim, total_steps)
        )
        self.ema: AveragedModel | None = None
        if config.train.ema > 0:
            average = get_ema_multi_avg_fn(config.train.ema)
            self.ema = AveragedModel(self.model, multi_avg_fn=average, use_buffers=True)
        self.autocast_dtype = torch.bfloat16 if config.train.precision == "bf16" else None
        self.attack: Attack | None = None
        """By which training images are changed."""
        if config.adversarial.attack != "none":
            epsilon = config.adversarial.epsilon or USUAL_EPSILON
            self.attack = Attack(config.adversarial.attack, epsilon, config.adversarial.steps, manifest.dtype)

    @property
    def scored_model(self) -> UNetPlusPlus:
        """The weights that are validated and shipped: averaged ones where they are kept."""
        model: UNetPlusPlus = self.ema.module if self.ema is not None else self.model  # type: ignore[assignment]
        return model

    def set_dilation(self, dilation: Sequence[int]) -> None:
        """Train, score and save the weights at these dilations from here on."""
        self.model.set_dilation(dilation)
        if self.ema is not None:
            averaged = self.ema.module
            assert isinstance(averaged, UNetPlusPlus)
            averaged.set_dilation(dilation)

    def hold_column(self, is_held: bool) -> None:
        """Whether the first column, or the encoder, is left as it is by the next steps."""
        if is_held == self._column_is_held:
            return
        self._column_is_held = is_held
        parameters = dict(self.model.named_parameters())
        for name in column_rows(parameters):
            parameters[name].requires_grad_(not is_held)
        # DDP averages the gradients of those parameters that learned when it was built.
        self.network = self._wrap()

    def follow_time(self, time_step: int) -> None:
        """Set the learning rate of a part of the time, see `TIME_STEPS`."""
        self._time_step = time_step
        set_rates(self.schedule)

    def autocast(self) -> torch.autocast:
        """The precision of the forward pass."""
        return torch.autocast(self.device.type, self.autocast_dtype, enabled=self.autocast_dtype is not None)

    def _wrap(self) -> nn.Module:
        network: nn.Module = self.model
        if self._compiles:
            _require_compiler(self.device)
            network = torch.compile(self.model)  # type: ignore[assignment]
        if _workers() > 1:
            device_ids = [self.device] if self.device.type == "cuda" else None
            # Shared statistics are equal on all ranks already; others follow rank 0's.
            return DataParallel(
                network,
                device_ids=device_ids,
                gradient_as_bucket_view=True,
                broadcast_buffers=not self._syncs_bn,
            )
        return network


def _require_compiler(device: torch.device) -> None:
    command = os.environ.get("CXX", "g++")
    if device.type == "cpu" and shutil.which(command) is None:
        raise ConfigError(
            f"train.compile=true needs a C++ compiler on the machine of each worker; there is no {command}; "
            "install one, name it in CXX, or leave train.compile out"
        )


def _workers() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1
