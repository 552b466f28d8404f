"""What a hyper-parameter sweep looks for, how it chooses trials and when it ends."""

from typing import Literal

from pydantic import Field

from unetpp.config.sections.base import AUTO, Auto, Count, Fraction, Section

__all__ = ["LABEL_METRICS", "MetricName", "ObjectiveName", "SamplerName", "SchedulerName", "TuneConfig"]

MetricName = Literal["dice", "iou", "dice_per_image", "iou_per_image", "label_accuracy", "dice_and_labels"]
LABEL_METRICS = ("label_accuracy", "dice_and_labels")
"""Those that need labels of whole images; only the deepest level tells them."""
ObjectiveName = Literal["quality", "latency", "params", "macs"]
SamplerName = Literal["tpe", "gp", "cmaes", "nsga2", "qmc", "random"]
SchedulerName = Literal["asha", "median", "curves", "pbt", "none"]


class TuneConfig(Section):
    trials: Count = 16
    """Trials of the sweep, whatever their outcome; a retry counts as one."""
    one_shot: Literal["depth", "depth+dilation"] = "depth"
    """What one training scores: every level of its network, or each of them at several vectors of the space's
    dilations too, which then share one network's weights; the sampler searches what is left."""
    candidates: int = Field(9, ge=2)
    """Most vectors of dilations that share a one-shot trial's weights, spread over all that the space has."""
    metric: MetricName = "dice"
    """Validation metric that is called quality, that chooses a run's best checkpoint, and that
    `train.patience` waits for. label_accuracy is that of labels of whole images,
    dice_and_labels its mean with Dice."""
    objectives: tuple[ObjectiveName, ...] = Field(("quality",), min_length=1)
    """What is optimised: quality upwards; seconds per image, weights and multiply-accumulates downwards."""
    sampler: SamplerName = "tpe"
    """How the next trial is chosen; gp, cmaes and qmc need the extra `samplers`."""
    scheduler: SchedulerName = "asha"
    """Which trials are stopped early; with several objectives asha keeps non-dominated ones. curves stops
    those whose learning curves, carried on to the last epoch, reach neither best nor front with 5 %. pbt
    stops none: those that fall behind go on with a better one's weights and changed weights of the loss."""
    grace_epochs: Count = 1
    """Epochs before a trial may be stopped early; asha's first rung. Of pbt, epochs between two decisions."""
    reduction_factor: int = Field(3, ge=2)
    """Of the trials at one of asha's rungs, one in this many goes on to the next. Of pbt, so many of the
    worst take over one of as many best ones."""
    max_concurrent: Count | Auto = AUTO
    """Trials that run at once."""
    storage: str = ""
    """Optuna storage URL; empty for the SQLite file study.db in the sweep's folder or bucket."""
    study_name: str = ""
    """The study's name in its storage; empty for the name of the sweep's folder."""
    warm_start: tuple[str, ...] = ()
    """Earlier sweeps, or storage URLs of studies, whose finished trials the sampler learns from."""
    inherit: bool = False
    """Whether a trial begins with the weights of the finished trial that has most of them, instead of random
    ones; that favours later trials, so the ranking is a proposal. `confirm` trains from random weights."""
    hours: float = Field(0.0, ge=0)
    """Wall-clock limit in hours; 0 is none."""
    gpu_hours: float = Field(0.0, ge=0)
    """Limit of GPU-hours over all trials; 0 is none."""
    price_per_gpu_hour: float = Field(0.0, ge=0)
    """Price of a GPU for an hour, in any currency, from which the sweep's cost is told; 0 is not known."""
    patience: int = Field(0, ge=0)
    """Trials after the best one, none of them better, at which the sweep ends; 0 never ends it."""
    target: Fraction = 0.0
    """Quality at which the sweep ends; 0 is none."""
    seed: int = Field(0, ge=0)
    """Seed of the sampler."""
    max_failures: int = Field(1, ge=0)
    """Restarts of one trial from its checkpoint."""
    confirm: int = Field(0, ge=0)
    """Best trials that are trained again with other seeds and compared; 0 is none."""
