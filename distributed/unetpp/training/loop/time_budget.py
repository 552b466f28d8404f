"""How a run that goes by minutes spends them; only rank 0's clock counts."""

from collections.abc import Callable
from dataclasses import dataclass

from unetpp.training.loop.optim import TIME_STEPS
from unetpp.training.loop.state import TrainState

__all__ = ["TimeBudget"]

_BOOKKEEPING_SHARE = 0.1
"""Of the time at most, for validations, checkpoints and reports."""
_VALIDATIONS = 4
"""At least so many fit into that share, or the validation split is thinned out."""
_MOST_VALIDATIONS = 100
"""Each writes a checkpoint and a line of metrics."""
_MARGIN = 1.25
"""How much longer a validation may take than the one before."""
_LATENCY_IMAGES, _LATENCY_S = 18, 6.0
"""Timing the levels after the first validation is taken to cost so many images, nine rounds of all levels, or
so many seconds where that is less."""
_SAVING_S = 1.0
"""Of a checkpoint, before the first is measured."""


@dataclass
class TimeBudget:
    """Minutes of a run, and what parts of a training were seen to take.

    Args:
        total_s: of the whole run.
        used_before_s: by earlier commands of the run.
        began_at: when this command began, by the clock.
        clock: seconds.
    """

    total_s: float
    used_before_s: float
    began_at: float
    clock: Callable[[], float]
    step_s: float = 0.0
    """Of the latest training step."""
    val_image_s: float = 0.0
    """Of one image of a validation."""
    saving_s: float | None = None
    """Of what follows a validation, once it is measured."""

    def used_s(self) -> float:
        """Time since the run's commands began."""
        return self.used_before_s + max(self.clock() - self.began_at, 0.0)

    def scored_rows(self, rows: int) -> int:
        """Rows, of so many, that a validation may score; 1 at least."""
        allowed_s = _BOOKKEEPING_SHARE * self.total_s / _VALIDATIONS
        return min(rows, max(1, int(allowed_s / max(self.val_image_s, 1e-6))))

    def validation_s(self, rows: int) -> float:
        """What scoring that many rows and saving is expected to take."""
        saving_s = self.saving_s
        if saving_s is None:
            saving_s = _SAVING_S + min(_LATENCY_IMAGES * self.val_image_s, _LATENCY_S)
        return _MARGIN * (rows * self.val_image_s + saving_s)

    def is_up(self, rows: int) -> bool:
        """Whether no further training step fits before a last validation of that many rows."""
        return self.used_s() + self.step_s + self.validation_s(rows) >= self.total_s

    def is_due(self, rows: int, state: TrainState, validated_s: float | None) -> bool:
        """Whether the share of bookkeeping allows a validation now, between two epochs.

        Args:
            rows: that it scores.
            state: of the run.
            validated_s: when the latest validation ended; None without one.
        """
        used_s = self.used_s()
        since_s = used_s - (validated_s if validated_s is not None else state.began_s or 0.0)
        needed_s = self.validation_s(rows)
        fits = state.bookkeeping_s + needed_s <= _BOOKKEEPING_SHARE * used_s
        return fits and since_s >= self.total_s / _MOST_VALIDATIONS

    def time_step(self, rows: int, state: TrainState) -> int:
        """Which of `TIME_STEPS` parts of the training time is under way."""
        began_s = state.began_s or 0.0
        training_s = self.total_s - self.validation_s(rows) - began_s
        share = (state.used_s - began_s) / training_s if training_s > 0 else 1.0
        return round(TIME_STEPS * min(max(share, 0.0), 1.0))
