"""The start of a training's workers is timed once, and told before the first progress."""

from pathlib import Path

import pytest

from fakes import tiny_config, write_dataset
from unetpp.api.training import StartUpTimer, late_start
from unetpp.api.watchers import Silent
from unetpp.training.run.job import TrainJob


class Heard:
    def __init__(self) -> None:
        self.events: list[str] = []

    def ready(self, start_up_s: float) -> None:
        assert start_up_s >= 0
        self.events.append("ready")

    def progress(self, values) -> None:
        self.events.append("progress")

    def epoch(self, metrics) -> None:
        self.events.append("epoch")

    def warning(self, text: str) -> None:
        self.events.append("warning")

    def stopping(self) -> None:
        self.events.append("stopping")


@pytest.mark.parametrize("first", ["progress", "epoch"])
def test_listener_hears_once_that_workers_are_ready_before_their_first_word(first: str) -> None:
    heard = Heard()
    timer = StartUpTimer(heard)
    timer.warning("a worker waits for room")
    assert timer.start_up_s is None
    getattr(timer, first)({})
    timer.progress({})
    timer.stopping()
    assert heard.events == ["warning", "ready", first, "progress", "stopping"]
    assert timer.start_up_s is not None


def test_a_silent_watcher_is_told_too() -> None:
    with Silent().training(3, 0) as listener:
        StartUpTimer(listener).epoch({"epoch": 1})


@pytest.mark.parametrize(
    ("minutes", "used_before_s", "start_up_s", "wanted"),
    [
        (1.0, 0.0, 14.0, ""),
        (1.0, 0.0, 70.5, "train.minutes=4"),
        (11.0, 600.0, 40.0, "train.minutes=23"),
        (0.0, 0.0, 70.5, ""),
        (1.0, 0.0, None, ""),
    ],
)
def test_a_start_that_took_most_of_the_minutes_is_told_with_the_command_that_goes_on(
    tmp_path: Path, minutes: float, used_before_s: float, start_up_s: float | None, wanted: str
) -> None:
    manifest = write_dataset(tmp_path / "data", {"train": 4})
    config = tiny_config("data", train={"minutes": minutes}).model_copy(update={"out": "run"})
    told = late_start(TrainJob(config, manifest, "run", used_before_s=used_before_s), start_up_s)
    assert told.endswith(f"unetpp train out=run --resume {wanted}" if wanted else "")
    assert bool(told) == bool(wanted)
