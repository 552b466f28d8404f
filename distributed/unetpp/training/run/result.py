"""The result of a run, written once and printed by the command line."""

from typing import Any

from unetpp.core.rundir import RunDir, epochs_done
from unetpp.training.run.job import TrainJob

__all__ = ["summarise"]

_HEADLINE = ("dice", "iou", "dice_per_image", "iou_per_image", "label_accuracy", "levels")


def summarise(job: TrainJob, *, finished: bool, wall_s: float, start_up_s: float | None) -> dict[str, Any]:
    """Collect a run's outcome and, if it finished, store it as result.json.

    `metrics` are those of the best validated epoch; empty where the dataset has no validation split.
    """
    run = RunDir(job.run_uri)
    epochs = run.read_metrics()
    validated = [epoch for epoch in epochs if "val" in epoch]
    metric = job.config.tune.metric
    best = max(validated, key=lambda epoch: float(epoch["val"][metric]), default=None)
    result: dict[str, Any] = {
        "run": job.run_uri,
        "epochs": epochs_done(epochs),
        "finished": finished,
        "seconds": round(sum(epoch["seconds"] for epoch in epochs), 3),
        "wall_seconds": round(wall_s, 3),
        "start_up_seconds": None if start_up_s is None else round(start_up_s, 3),
        "images_per_s": _steady_rate(epochs),
        "best_epoch": None if best is None else best["epoch"],
        "metrics": {} if best is None else {key: best["val"][key] for key in _HEADLINE if key in best["val"]},
    }
    if finished:
        run.write_result(result)
    return result


def _steady_rate(epochs: list[dict[str, Any]]) -> float | None:
    """Training images per second over all epochs but the first, which warms up."""
    rated = epochs[1:] or epochs
    seconds = sum(epoch["train_seconds"] for epoch in rated)
    return round(sum(epoch["images"] for epoch in rated) / seconds, 2) if seconds else None
