"""The start of a training's workers is timed once, and told before the first progress."""

import pytest

from unetpp.api.training import StartUpTimer
from unetpp.api.watchers import Silent


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
