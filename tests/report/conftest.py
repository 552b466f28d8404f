"""Runs as their writers leave them, without weights: reports read files only."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unetpp.config.run import RunConfig
from unetpp.config.sections.data import DataConfig
from unetpp.config.sections.model import ModelConfig
from unetpp.config.sections.train import TrainConfig
from unetpp.core.manifest import ChannelStats, ClassInfo, Manifest, ShardInfo, SplitInfo
from unetpp.core.rundir import RunDir
from unetpp.inference.colours import png
from unetpp.inference.evaluation.examples import Candidate, Example
from unetpp.inference.evaluation.files import write_evaluation

WriteRun = Callable[..., str]
_LEVELS = (1, 2, 3)


@pytest.fixture(scope="session")
def manifest() -> Manifest:
    """Binary, 100 x 100 train pixels, a quarter of them foreground; a class name that is HTML."""
    shard = ShardInfo(name="s", sha256="0" * 64, bytes=5000, rows=10, decoded_bytes=10000 * 4)
    names = ("train", "val", "test")
    return Manifest(
        version="00001",
        task="binary",
        classes=(ClassInfo(name="<b>cell</b>", colour=(230, 60, 60)),),
        ignore_index=None,
        channels=3,
        dtype="uint8",
        splits={
            name: SplitInfo(rows=10, shards=(shard.model_copy(update={"name": name}),)) for name in names
        },
        channel_stats=(ChannelStats(mean=70, std=40, p01=0, p50=60, p99=230),) * 3,
        sizes={"32x32": 30},
        class_pixels=(2500,),
        foreground_histogram=(1, 4, 3, 2, 0, 0, 0, 0, 0, 0),
        command="unetpp data pack --images i --masks m --out d",
        versions={"pillow": "13"},
        fingerprint="f" * 64,
    )


def scores(dice: float) -> dict[str, Any]:
    """Metrics of three levels, the deepest at `dice`, each shallower one 0.003 lower."""

    def values(value: float) -> dict[str, float]:
        same = dict.fromkeys(("dice", "dice_per_image", "precision", "recall", "accuracy"), value)
        return same | dict.fromkeys(("iou", "iou_per_image"), value / (2 - value))

    levels = {str(level): values(dice - 0.003 * (_LEVELS[-1] - level)) for level in _LEVELS}
    entry = {
        "name": "<b>cell</b>",
        **{key: values(dice)[key] for key in ("dice", "iou", "precision", "recall")},
    }
    return {**values(dice), "classes": [entry], "levels": levels}


@pytest.fixture
def write_run(tmp_path: Path, manifest: Manifest) -> WriteRun:
    """Write a run; without `epochs` it was interrupted before its first, without `dice` never evaluated."""

    def write(
        name: str = "run",
        *,
        epochs: int = 5,
        finished: bool = True,
        dice: list[float] | None = None,
        width: int = 4,
        minutes: float = 0.0,
        fingerprint: str = "f" * 64,
    ) -> str:
        config = RunConfig(
            data=DataConfig(uri="s3://bucket/cells", batch_size=4, crop=32),
            model=ModelConfig(in_channels=3, num_classes=1, depth=3, width=width, image_classes=0),
            train=TrainConfig(minutes=minutes),
            out=str(tmp_path / name),
        )
        run = RunDir(config.run_uri)
        decision = {"field": "model.depth", "value": 3, "reason": "the crop is 32 px"}
        run.create(
            config.model_dump(mode="json"),
            [decision],
            manifest,
            {"git_sha": None, "versions": {"torch": "2.13"}},
        )
        run.write_metrics([_epoch(number) for number in range(1, epochs + 1)])
        if finished:
            run.write_result({"epochs": epochs})
        if dice is not None:
            _write_test_evaluation(run, dice, fingerprint)
        return run.uri

    return write


def _epoch(number: int) -> dict[str, Any]:
    return {
        "epoch": number,
        "step": 10 * number,
        "seconds": 30.0,
        "images_per_s": 20.0 + number,
        "data_wait": 0.05 / number,
        "cache": {"hit_rate": float(number > 1), "bytes_fetched": 0, "bytes_saved": 2**20, "wait_s": 0.0},
        "loss": math.exp(-number / 3),
        "lr": 0.001 / number,
        "val": scores(0.9 - 0.5 / number),
    }


def _write_test_evaluation(run: RunDir, dice: list[float], fingerprint: str) -> None:
    panel = png(np.full((20, 80, 3), 128, dtype=np.uint8))
    lines = [
        {"sample_id": f"s{i}", "dice": value, "iou": value, "levels": {}} for i, value in enumerate(dice)
    ]
    summary = {
        "split": "test",
        "rows": len(dice),
        "level": 3,
        **scores(sum(dice) / len(dice)),
        "confusion": {"labels": ["background", "<b>cell</b>"], "counts": [[90, 10], [5, 45]]},
        "dataset": {"uri": "s3://bucket/cells", "version": "00001", "fingerprint": fingerprint},
        "step": 50,
        "window_px": 512,
        "device": "cpu",
        "seconds": 2.0,
        "images_per_s": 5.0,
        "latency": {"size_px": 32, "levels_s": {"1": 0.001, "2": 0.002, "3": 0.004}},
    }
    best, worst = (Example(Candidate(f"s{n}", dice[n], 9, n), panel) for n in (0, 1))
    examples = {"best": [best], "worst": [worst]}
    write_evaluation(run.storage, "test", summary, lines, examples)
