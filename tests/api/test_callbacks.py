"""Callbacks are told what the watchers are told, and do no harm."""

import logging
import signal
from typing import Any

import pytest

import unetpp
from unetpp.api.callbacks import watching
from unetpp.config import load_config
from unetpp.config.planning.resolve import Decision

PROGRESS = {"epoch": 1, "step": 1, "steps": 2, "loss": 0.5, "images_per_s": 1.0, "data_wait": 0.0}
EPOCH = {
    "epoch": 1, "seconds": 1.0, "images_per_s": 1.0, "data_wait": 0.0, "loss": 0.5,
    "cache": {"bytes_saved": 0, "hit_rate": 0.0}, "val": {"levels": {"1": {"dice": 0.5}}},
}  # fmt: skip


class Recorder(unetpp.Callback):
    """Writes down every event."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith("on_"):
            return super().__getattribute__(name)
        return lambda *given, **named: self.events.append((name, *given, *named.values()))


class Broken(unetpp.Callback):
    def on_epoch(self, metrics: dict[str, Any]) -> None:
        raise RuntimeError("disk full")


class Stopping(unetpp.Callback):
    def on_progress(self, values: dict[str, Any]) -> None:
        self.stop()

    def on_trial_epoch(self, number: int, metrics: dict[str, Any]) -> None:
        self.stop()


def test_events_of_a_training_and_of_a_sweep_arrive_in_their_order() -> None:
    recorder = Recorder()
    watcher = watching([recorder], progress=False)
    decision = Decision("model.depth", 3, "small images")
    watcher.note("continuing")
    watcher.decided([decision], resumed=False)
    with watcher.training(4, 1) as listener:
        listener.progress(PROGRESS)
        listener.epoch(EPOCH)
        listener.warning("a step was skipped")
    with watcher.sweep(load_config(None, []), 0.0) as trials:
        trials.started(0, {})
        trials.epoch(0, EPOCH)
        trials.ended(0)
        trials.failed(1)
    assert recorder.events == [
        ("on_note", "continuing"),
        ("on_decisions", [decision]),
        ("on_train_start", 4, 1),
        ("on_progress", PROGRESS),
        ("on_epoch", EPOCH),
        ("on_warning", "a step was skipped"),
        ("on_train_end",),
        ("on_trial_start", 0, {}),
        ("on_trial_epoch", 0, EPOCH),
        ("on_trial_end", 0, False),
        ("on_trial_end", 1, True),
    ]


def test_events_are_those_that_the_base_class_documents() -> None:
    events = {name for name in vars(unetpp.Callback) if name.startswith("on_")}
    assert all(getattr(unetpp.Callback, name).__doc__ for name in events)
    assert len(events) == 10


def test_callback_that_fails_is_named_and_left_out_and_the_others_go_on(caplog) -> None:
    recorder = Recorder()
    with (
        caplog.at_level(logging.WARNING),
        watching([Broken(), recorder], progress=False).training(2, 0) as listener,
    ):
        listener.epoch(EPOCH)
        listener.epoch(EPOCH)
    (warned,) = caplog.records
    assert "Broken.on_epoch failed" in warned.getMessage()
    assert warned.exc_info is not None
    assert "disk full" in str(warned.exc_info[1])
    assert [event[0] for event in recorder.events].count("on_epoch") == 2


def test_training_ends_when_a_callback_fails_at_its_end_and_keeps_its_own_error() -> None:
    recorder = Recorder()
    with pytest.raises(ValueError, match="own"), watching([recorder], progress=False).training(2, 0):
        raise ValueError("own")
    assert recorder.events[-1] == ("on_train_end",)


def test_stop_reaches_a_training_once_as_ctrl_c() -> None:
    callback, recorder = Stopping(), Recorder()
    with watching([callback, recorder], progress=False).training(2, 0) as listener:
        with pytest.raises(KeyboardInterrupt):
            listener.progress(PROGRESS)
        listener.progress(PROGRESS)
    assert [event[0] for event in recorder.events].count("on_progress") == 2
    with (
        watching([callback], progress=False).training(2, 0) as again,
        pytest.raises(KeyboardInterrupt),
    ):
        again.progress(PROGRESS)


def test_stop_reaches_a_sweep_as_a_signal() -> None:
    caught: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: caught.append(number))
    try:
        with watching([Stopping()], progress=False).sweep(load_config(None, []), 0.0) as trials:
            trials.started(0, {})
            trials.epoch(0, EPOCH)
            trials.epoch(0, EPOCH)
    finally:
        signal.signal(signal.SIGINT, before)
    assert caught == [signal.SIGINT]


def test_progress_and_callbacks_hear_of_the_same(capsys) -> None:
    recorder = Recorder()
    with watching([recorder], progress=True).training(1, 0) as listener:
        listener.epoch(EPOCH)
    captured = capsys.readouterr()
    assert "epoch   1/1" in captured.err
    assert captured.out == ""
    with watching([], progress=False).training(1, 0) as listener:
        listener.epoch(EPOCH)
    assert capsys.readouterr() == ("", "")
