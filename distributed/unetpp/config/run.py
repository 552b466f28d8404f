"""A whole run: every section, and the rules that span sections."""

from typing import Self

from pydantic import model_validator

from unetpp.config.rules import (
    augment_rules,
    batch_rules,
    crop_rules,
    fold_rules,
    loss_rules,
    memory_rules,
    model_rules,
    scale_rules,
    shared_dilation_rules,
    tune_rules,
)
from unetpp.config.sections.adversarial import AdversarialConfig
from unetpp.config.sections.base import Section
from unetpp.config.sections.data import AugmentConfig, DataConfig
from unetpp.config.sections.loss import LossConfig
from unetpp.config.sections.model import ModelConfig
from unetpp.config.sections.train import OptimConfig, ScaleConfig, TrainConfig
from unetpp.config.sections.tune import TuneConfig

__all__ = ["WINDOW_OVERLAP", "RunConfig"]

WINDOW_OVERLAP = 0.25
"""Least fraction of a window that it shares with its neighbour, where images are predicted part by part."""
_MIN_WINDOW_PX = 512
"""Images up to this side take one forward pass, whatever the crop."""


class RunConfig(Section):
    data: DataConfig = DataConfig()
    augment: AugmentConfig = AugmentConfig()
    adversarial: AdversarialConfig = AdversarialConfig()
    model: ModelConfig = ModelConfig()
    loss: LossConfig = LossConfig()
    optim: OptimConfig = OptimConfig()
    train: TrainConfig = TrainConfig()
    scale: ScaleConfig = ScaleConfig()
    tune: TuneConfig = TuneConfig()
    out: str = "runs/latest"
    """The run's folder, a local path or URI; `name` is appended where given."""
    name: str = ""
    """Appended to `out` as a sub-folder, so that several runs share one `out`; empty appends nothing."""

    @property
    def run_uri(self) -> str:
        """Where the run's files live."""
        return f"{self.out.rstrip('/')}/{self.name}" if self.name else self.out.rstrip("/")

    @property
    def patch_px(self) -> tuple[int, ...]:
        """Sides of the training crop: height and width, behind planes for volumes; `auto` must be decided."""
        side = int(self.data.crop)
        planes = () if self.model.spatial_dims != 3 else (int(self.data.crop_depth or side),)
        return (*planes, side, side)

    @property
    def window_px(self) -> tuple[int, ...]:
        """Sides of the window above which an image is predicted part by part; `auto` must be decided."""
        if self.model.spatial_dims == 3:
            return self.patch_px
        return tuple(max(_MIN_WINDOW_PX, side) for side in self.patch_px)

    @property
    def max_workers(self) -> int:
        """Largest number of DDP workers the run may use."""
        return self.scale.workers if isinstance(self.scale.workers, int) else self.scale.workers[1]

    @property
    def min_workers(self) -> int:
        """Smallest number of DDP workers the run may use."""
        return self.scale.workers if isinstance(self.scale.workers, int) else self.scale.workers[0]

    @model_validator(mode="after")
    def _check(self) -> Self:
        broken = [
            *model_rules(self.model),
            *shared_dilation_rules(self.model, self.train),
            *loss_rules(self.loss, self.model),
            *augment_rules(self.augment),
            *scale_rules(self.scale),
            *batch_rules(self.data, self.train, self.max_workers),
            *memory_rules(self.train, self.model),
            *fold_rules(self.train),
            *crop_rules(self.data, self.model),
            *tune_rules(self.tune, self.train),
        ]
        if self.train.sync_bn is True and self.model.norm != "batch":
            broken.append(
                f"train.sync_bn needs model.norm=batch; it is {self.model.norm}; use train.sync_bn=false"
            )
        if broken:
            raise ValueError("\n".join(broken))
        return self
