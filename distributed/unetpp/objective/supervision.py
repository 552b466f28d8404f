"""The objective: the losses of every supervised level, and of the image as a whole, per image."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from unetpp.config.sections.loss import PIXEL_TERMS, LossConfig
from unetpp.core.errors import ConfigError
from unetpp.core.manifest import Task
from unetpp.objective.cldice import centre_lines, soft_cldice
from unetpp.objective.distillation import distillation
from unetpp.objective.losses import (
    boundary,
    cross_entropy,
    dice,
    distance_map,
    focal,
    tversky,
    weigh_pixels,
)
from unetpp.objective.lovasz import lovasz
from unetpp.objective.targets import NetworkOutput, Target, encode_target

__all__ = ["UNKNOWN_LABEL", "Objective", "build_objective", "level_weights"]

UNKNOWN_LABEL = -1
"""Image label of a sample that has none."""


@dataclass(frozen=True)
class _Truth:
    """What the losses of all levels compare with, computed once for a batch; None where no term asks."""

    target: Target
    pixel_weights: Tensor | None
    lines: Tensor | None
    distances: Tensor | None


@dataclass(frozen=True)
class Objective:
    """Sum over levels of level_weight * sum over terms of weight * term, plus the image-level loss.

    Self-distillation is a term of every level but the deepest.
    """

    config: LossConfig
    task: Task
    level_weights: tuple[float, ...]
    """In the order of the network's levels."""

    def __call__(self, output: NetworkOutput, mask: Tensor, image_label: Tensor | None = None) -> Tensor:
        """Loss of each image, float32 (N,); independent of the other images of the batch.

        Args:
            output: a `ModelOutput`.
            mask: uint8 (N, *size), see `encode_target`.
            image_label: int64 (N,), -1 where unknown; None where no image has one.
        """
        return torch.stack(list(self.terms(output, mask, image_label).values())).sum(0)

    def terms(self, output: NetworkOutput, mask: Tensor, image_label: Tensor | None) -> dict[str, Tensor]:
        """The weighted addends of the loss by name, each float32 (N,)."""
        levels, image = output
        truth = self._truth(encode_target(mask, self.task, levels[-1].shape[1]))
        totals: dict[str, Tensor] = {}
        for level_weight, logits in zip(self.level_weights, levels, strict=True):
            # One layout for logits and target: of several classes a CPU takes half the time of channels-last.
            planes = logits.to(torch.float32, memory_format=torch.contiguous_format)
            for name, weight, loss in self._pixel_terms(planes, truth):
                addend = level_weight * weight * loss
                totals[name] = totals[name] + addend if name in totals else addend
        if self.config.distill > 0 and len(levels) > 1:
            totals["distill"] = self.config.distill * self._distillation(levels, truth.target.valid)
        if image is not None:
            totals["image"] = self.config.image * _image_loss(image, image_label)
        return totals

    def _distillation(self, levels: Sequence[Tensor], valid: Tensor) -> Tensor:
        """Of every level but the deepest, by level weight, float32 (N,)."""
        softmax, temperature = self.task == "multiclass", self.config.distill_temperature
        *shallower, deepest = levels
        losses = [
            weight * distillation(logits, deepest, valid, softmax=softmax, temperature=temperature)
            for weight, logits in zip(self.level_weights, shallower, strict=False)
        ]
        return torch.stack(losses).sum(0)

    def _truth(self, target: Target) -> _Truth:
        config, softmax = self.config, self.task == "multiclass"
        weighs = config.ce > 0 or config.focal > 0
        return _Truth(
            target,
            weigh_pixels(target.target, config.class_weights, softmax=softmax) if weighs else None,
            centre_lines(*target, softmax=softmax) if config.cldice > 0 else None,
            distance_map(target.target) if config.boundary > 0 else None,
        )

    def _pixel_terms(self, logits: Tensor, truth: _Truth) -> Iterator[tuple[str, float, Tensor]]:
        """(name, weight, loss) of the terms whose weight is not 0."""
        config, softmax = self.config, self.task == "multiclass"
        target, weights, present = truth.target, truth.pixel_weights, config.dice_classes == "present"
        if config.ce > 0:
            hardest = config.hardest
            entropy = cross_entropy(logits, *target, softmax=softmax, pixel_weights=weights, hardest=hardest)
            yield "ce", config.ce, entropy
        if config.dice > 0:
            yield "dice", config.dice, dice(logits, *target, softmax=softmax, present_only=present)
        if config.focal > 0:
            gamma = config.focal_gamma
            loss = focal(logits, *target, softmax=softmax, gamma=gamma, pixel_weights=weights)
            yield "focal", config.focal, loss
        if config.tversky > 0:
            alpha, beta = config.tversky_alpha, config.tversky_beta
            loss = tversky(logits, *target, softmax=softmax, alpha=alpha, beta=beta, present_only=present)
            yield "tversky", config.tversky, loss
        if config.lovasz > 0:
            yield "lovasz", config.lovasz, lovasz(logits, *target, softmax=softmax)
        if config.cldice > 0:
            yield (
                "cldice",
                config.cldice,
                soft_cldice(logits, *target, softmax=softmax, true_lines=truth.lines),
            )
        if truth.distances is not None:
            loss = boundary(logits, truth.distances, target.valid, softmax=softmax)
            yield "boundary", config.boundary, loss


def build_objective(config: LossConfig, task: Task, supervised_levels: Sequence[int]) -> Objective:
    """The objective of a network with heads on those levels.

    Raises:
        ConfigError: every pixel term has weight 0.
    """
    if not any(getattr(config, name) for name in PIXEL_TERMS):
        raise ConfigError(f"loss: one of {', '.join(PIXEL_TERMS)} must be above 0; set loss.dice=1")
    return Objective(config, task, level_weights(supervised_levels, config.level_decay))


def level_weights(levels: Sequence[int], decay: float) -> tuple[float, ...]:
    """decay**(deepest - level), normalised to sum 1; none is 0, so every head has a gradient."""
    raw = [decay ** (max(levels) - level) for level in levels]
    return tuple(weight / sum(raw) for weight in raw)


def _image_loss(logits: Tensor, label: Tensor | None) -> Tensor:
    """Cross-entropy (N,), 0 where the label is unknown; DDP needs the head in the graph all the same."""
    if label is None:
        return logits.float().sum(1) * 0
    return F.cross_entropy(logits.float(), label, ignore_index=UNKNOWN_LABEL, reduction="none")
