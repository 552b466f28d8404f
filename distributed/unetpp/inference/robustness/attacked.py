"""Samples under attack: a copy of the network sees each image, and moves its pixels."""

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unetpp.core.seeds import derive_seed
from unetpp.data.dataset.sample import Sample
from unetpp.models.inference import predict_logits
from unetpp.models.load import LoadedRun
from unetpp.models.output import ModelOutput
from unetpp.objective.attacks.attack import Attack, bounds_of
from unetpp.objective.attacks.perturb import perturb

__all__ = ["Attacked"]


class Attacked:
    """Attacks samples through the deepest level of a run, in float32; every level is then scored on these.

    Args:
        run: the network, and how it is applied to images of any size.
        attack: its epsilon is in raw values.
        device: where to compute.
    """

    def __init__(self, run: LoadedRun, attack: Attack, device: torch.device) -> None:
        self._attack, self._device = attack, device
        self._model = copy.deepcopy(run.model).to(device).eval().requires_grad_(requires_grad=False)
        self._normalise = run.normalise.to(device)
        self._task = run.manifest.task
        self._window_px, self._least_px = run.config.window_px, run.config.patch_px

    @property
    def facts(self) -> dict[str, Any]:
        """As an evaluation tells them."""
        attack = self._attack
        return {"attack": attack.name, "epsilon": attack.epsilon, "steps": attack.passes}

    @property
    def suffix(self) -> str:
        """Of the evaluation's name."""
        attack = self._attack
        return f"{attack.name}-{attack.epsilon:g}" + ("" if attack.name == "fgsm" else f"x{attack.passes}")

    def __call__(self, samples: Sequence[Sample]) -> list[Sample]:
        """Samples of one size; images keep their type, so that what is scored could be stored as a file."""
        raw = torch.from_numpy(np.stack([sample.image for sample in samples])).movedim(-1, 1)
        masks = torch.from_numpy(np.stack([sample.mask for sample in samples])).to(self._device)
        images = self._normalise(raw.to(self._device))
        bounds = bounds_of(self._attack, self._normalise, images)
        start = self._starts(samples, images) if self._attack.starts_at_random else None
        moved = perturb(self._network, images, masks, self._attack, bounds, self._task, start)
        changed = self._as_stored(self._normalise.inverse(moved).cpu(), raw)
        pixels = changed.movedim(1, -1).contiguous().numpy()
        return [replace(sample, image=image) for sample, image in zip(samples, pixels, strict=True)]

    def _network(self, images: Tensor) -> ModelOutput:
        return predict_logits(self._model, images, window_px=self._window_px, least_px=self._least_px)

    def _as_stored(self, moved: Tensor, raw: Tensor) -> Tensor:
        """Whole numbers where images hold those, no farther than epsilon from the image."""
        if raw.dtype.is_floating_point:
            return moved.to(raw.dtype)
        low, high = torch.iinfo(raw.dtype).min, torch.iinfo(raw.dtype).max
        whole = raw.to(torch.float64)
        epsilon = float(int(self._attack.epsilon))
        near = torch.maximum(torch.minimum(moved.double().round(), whole + epsilon), whole - epsilon)
        return near.clamp(low, high).to(raw.dtype)

    def _starts(self, samples: Sequence[Sample], images: Tensor) -> Tensor:
        starts = torch.empty_like(images)
        for row, sample in zip(starts, samples, strict=True):
            seed = derive_seed("attack start", sample.sample_id)
            row.uniform_(-1, 1, generator=torch.Generator(device=images.device).manual_seed(seed))
        return starts
