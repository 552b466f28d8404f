"""Where a run stands: a few numbers that live in every checkpoint."""

from dataclasses import asdict, dataclass
from typing import Any

from unetpp.data.schedule import Position

__all__ = ["EpochSums", "TrainState"]


@dataclass
class EpochSums:
    """Totals of the epoch under way; the loss and image counts are this rank's share."""

    loss: float = 0.0
    images: int = 0
    seconds: float = 0.0
    wait_s: float = 0.0
    steps: int = 0


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
    finished: bool = False

    @property
    def position(self) -> Position:
        """Where the sample stream continues."""
        return Position(self.epoch, self.step)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "TrainState":
        return cls(**values)
