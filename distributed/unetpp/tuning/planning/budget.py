"""The budget of a sweep: when it ends before its number of trials."""

from dataclasses import dataclass

from unetpp.config.sections.tune import TuneConfig

__all__ = ["Budget", "budget_of"]


@dataclass(frozen=True)
class Budget:
    """Limits of a sweep beside its number of trials; 0 is none."""

    hours: float = 0.0
    gpu_hours: float = 0.0
    target: float = 0.0
    """Quality that is enough."""
    patience: int = 0
    """Trials after the best one that are enough."""

    def exhausted(
        self, now_s: float, gpu_seconds: float, best: float | None, since_best: int = 0
    ) -> str | None:
        """Why no further trial may start, or None.

        Args:
            now_s: seconds the sweep has run, before a resume and after it.
            gpu_seconds: GPU time of all trials so far.
            best: best quality so far.
            since_best: trials after the best one that have ended.
        """
        if self.target and best is not None and best >= self.target:
            return f"quality {best:.4f} reached tune.target={self.target:g}"
        if self.hours and now_s >= self.hours * 3600:
            return f"{now_s / 3600:.2f} h reached tune.hours={self.hours:g}"
        if self.gpu_hours and gpu_seconds >= self.gpu_hours * 3600:
            return f"{gpu_seconds / 3600:.2f} GPU-hours reached tune.gpu_hours={self.gpu_hours:g}"
        if 0 < self.patience <= since_best:
            return f"{since_best} trials without a better one reached tune.patience={self.patience}"
        return None


def budget_of(config: TuneConfig) -> Budget:
    """The limits that a configuration sets."""
    return Budget(config.hours, config.gpu_hours, config.target, config.patience)
