"""Complete configurations as functions; a derived one changes a few fields of another."""

from collections.abc import Callable

from unetpp.config.run import RunConfig
from unetpp.config.sections.data import AugmentConfig, DataConfig
from unetpp.config.sections.loss import LossConfig
from unetpp.config.sections.model import ModelConfig
from unetpp.config.sections.train import OptimConfig, TrainConfig

__all__ = ["PRESETS", "baseline", "paper", "smoke"]


def baseline() -> RunConfig:
    """The defaults: UNet++ with batch norm and bilinear upsampling, Dice + CE, AdamW."""
    return RunConfig()


def smoke() -> RunConfig:
    """Seconds on two CPU cores: shows that everything works, not how well."""
    return RunConfig(
        data=DataConfig(crop=64),
        model=ModelConfig(depth=2, width=8),
        train=TrainConfig(epochs=2, precision="fp32"),
    )


def paper() -> RunConfig:
    """UNet++ as published (Zhou et al., 2018, 2020): 32..512 channels, deconvolution, no norm, dropout 0.5.

    Loss: equal weight on every head of 0.5 * cross-entropy + Dice; Adam at 3e-4, weight decay 1e-4.
    """
    return RunConfig(
        augment=AugmentConfig(enabled=False),
        model=ModelConfig(depth=4, width=32, norm="none", upsample="deconv", dropout=0.5),
        loss=LossConfig(ce=0.5, dice=1.0, level_decay=1.0),
        optim=OptimConfig(name="adam", lr=3e-4, weight_decay=1e-4, schedule="constant", warmup=0.0),
    )


PRESETS: dict[str, Callable[[], RunConfig]] = {"baseline": baseline, "paper": paper, "smoke": smoke}
