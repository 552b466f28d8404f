"""Where a run stands: a few numbers that live in every checkpoint."""

import math
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from unetpp.config.sections.train import TrainConfig
from unetpp.data.stream.stream_plan import Position

__all__ = ["EpochSums", "TrainState"]


@dataclass
class EpochSums:
    """Totals of the epoch under way: of one rank in the loop, of all ranks in a checkpoint."""

    loss: float = 0.0
    images: int = 0
    seconds: float = 0.0
    wait_s: float = 0.0
    steps: int = 0
    skipped_images: int = 0
    """Of steps that were not applied; their loss is not in `loss`."""
    skipped_steps: int = 0

    @property
    def mean_loss(self) -> float:
        """Over the images that were learnt from; NaN where there were none."""
        scored = self.images - self.skipped_images
        return self.loss / scored if scored else math.nan

    def share_of(self, rank: int) -> "EpochSums":
        """What a rank goes on counting from: rank 0 carries the counts, every rank the times.

        With one worker a loss is summed in the order of a run that was never stopped, to the last bit.
        """
        return replace(self) if rank == 0 else replace(self, loss=0.0, images=0, skipped_images=0)


@dataclass
class TrainState:
    """Counters of a run; `epoch` and `step` name the next training step."""

    epoch: int = 0
    step: int = 0
    global_step: int = 0
    seconds: float = 0.0
    """Training and validation time of all finished epochs."""
    best_value: float | None = None
    best_epoch: int | None = None
    validations_since_best: int = 0
    nonfinite_steps: int = 0
    used_s: float = 0.0
    """Of `train.minutes`: time since the run's commands began, all of it once the run has ended."""
    began_s: float | None = None
    """The same at the first training step; the learning rate falls from there."""
    bookkeeping_s: float = 0.0
    """Time of validations, checkpoints and reports, where the run goes by minutes."""
    val_rows: int = 0
    """Rows of the validation split that such a run scores; 0 before it is decided."""
    finished: bool = False
    sums: EpochSums = field(default_factory=EpochSums)
    """Of the epoch's first `step` steps; loss and images over all ranks, times a mean over them.

    Brought up to date before every checkpoint, not at every step.
    """

    def ended_by(self, config: TrainConfig) -> str | None:
        """Why nothing is left to train, or None."""
        if config.minutes > 0:
            if self.used_s >= config.minutes * 60:
                return f"all of train.minutes={config.minutes:g} are used"
        elif self.epoch >= config.epochs:
            return f"all of train.epochs={config.epochs} are done"
        if 0 < config.patience <= self.validations_since_best:
            return f"{self.validations_since_best} validations without a better one reach train.patience"
        return None

    @property
    def position(self) -> Position:
        """Where the sample stream continues."""
        return Position(self.epoch, self.step)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "TrainState":
        return cls(**values | {"sums": EpochSums(**values["sums"])})
