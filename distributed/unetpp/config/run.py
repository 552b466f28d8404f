"""A whole run: every section, and the rules that span sections."""

from typing import Any

from pydantic import Field, model_validator

from unetpp.config.data import AugmentConfig, DataConfig
from unetpp.config.loss import LossConfig
from unetpp.config.model import ModelConfig
from unetpp.config.section import AUTO, Section
from unetpp.config.train import OptimConfig, ScaleConfig, TrainConfig

__all__ = ["RunConfig"]


class RunConfig(Section):
    data: DataConfig = DataConfig()
    augment: AugmentConfig = AugmentConfig()
    model: ModelConfig = ModelConfig()
    loss: LossConfig = LossConfig()
    optim: OptimConfig = OptimConfig()
    train: TrainConfig = TrainConfig()
    scale: ScaleConfig = ScaleConfig()
    out: str = Field("runs/latest")
    """The run's folder, a local path or URI; `name` is appended where given."""
    name: str = ""

    @property
    def run_uri(self) -> str:
        """Where the run's files live."""
        return f"{self.out.rstrip('/')}/{self.name}" if self.name else self.out.rstrip("/")

    @property
    def max_workers(self) -> int:
        """Largest number of DDP workers the run may use."""
        return self.scale.workers if isinstance(self.scale.workers, int) else self.scale.workers[1]
