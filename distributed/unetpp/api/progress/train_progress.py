"""Training progress: one line per epoch, and a live line inside the epoch in a terminal or a notebook."""

from typing import Any, Self

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from unetpp.api.progress.bars import new_bar, stderr_console
from unetpp.core.milestones import since_submission

__all__ = ["TrainProgress", "epoch_line"]


class TrainProgress:
    """A `TrainListener` that draws on stderr; plain lines where nothing can be drawn again.

    Args:
        epochs: of the run; 0 where it goes by minutes.
        first_epoch: epochs that are done already.
    """

    def __init__(self, epochs: int, *, first_epoch: int) -> None:
        self._epochs, self._done = epochs, first_epoch
        self._console = stderr_console()
        self._seconds: list[float] = []
        self._bar: Progress | None = None

    def __enter__(self) -> Self:
        self._bar = new_bar(
            self._console,
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            transient=True,
        )
        if self._bar is not None:
            self._bar.start()
            self._bar.add_task("starting workers", total=None, note="")
        return self

    def __exit__(self, *exc: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def ready(self, start_up_s: float) -> None:
        self._console.print(f"workers ready after {start_up_s:.1f} s")
        if after := since_submission():
            self._console.print(f"first training step {after}")

    def progress(self, values: dict[str, Any]) -> None:
        if self._bar is None:
            return
        rate = f"{values['images_per_s']:.1f} img/s  data-wait {values['data_wait']:.1%}"
        self._bar.update(
            self._bar.task_ids[0],
            description=f"epoch {_of(values['epoch'], self._epochs).strip()}",
            completed=values["step"],
            total=values["steps"],
            note=f"loss {values['loss']:.4f}  {rate}",
        )

    def epoch(self, metrics: dict[str, Any]) -> None:
        self._done = metrics["epoch"]
        self._seconds.append(metrics["seconds"])
        left_s = _left_s(metrics)
        if self._epochs:
            left_s = (self._epochs - self._done) * sum(self._seconds) / len(self._seconds)
        self._console.print(epoch_line(metrics, self._epochs, left_s), soft_wrap=True)

    def warning(self, text: str) -> None:
        self._console.print(text, soft_wrap=True)

    def stopping(self) -> None:
        self._console.print("stopping after this step; Ctrl-C again to abort")


def epoch_line(metrics: dict[str, Any], epochs: int, left_s: float) -> str:
    """One epoch in one line: rate, waiting for data, loss, shards cached, Dice of every level, time left."""
    line = (
        f"epoch {_of(metrics['epoch'], epochs)}  {metrics['images_per_s']:6.1f} img/s  "
        f"data-wait {metrics['data_wait']:4.1%}  loss {metrics['loss']:.4f}"
    )
    # Runs of a former version have no such count.
    if skipped := metrics.get("skipped_steps"):
        line += f" ({skipped} steps skipped: NaN or Inf)"
    if metrics["cache"]["bytes_saved"]:
        line += f"  cache {metrics['cache']['hit_rate']:.0%}"
    if "val" in metrics:
        levels = "  ".join(
            f"L{name} {values['dice']:.4f}" for name, values in metrics["val"]["levels"].items()
        )
        line += f"  Dice {levels}"
    return f"{line}  {metrics['seconds']:.1f} s  left {_clock(left_s)}"


def _of(epoch: int, epochs: int) -> str:
    return f"{epoch:>3}/{epochs}" if epochs else f"{epoch:>3}"


def _left_s(metrics: dict[str, Any]) -> float:
    """Of the minutes of a run that goes by them."""
    spent = metrics.get("time", {"used_s": 0.0, "total_s": 0.0})
    return float(spent["total_s"] - spent["used_s"])


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
