"""Progress in a notebook, against what IPython offers it."""

from typing import Any

import pytest
from rich.console import Console

from unetpp.api.progress import bars
from unetpp.api.progress.data_progress import DataProgress
from unetpp.api.progress.image_progress import ImageProgress
from unetpp.api.progress.sweep_table import SweepTable
from unetpp.api.progress.train_progress import TrainProgress
from unetpp.config import load_config
from unetpp.data.pack.pack import Progress

PROGRESS = {"epoch": 1, "step": 3, "steps": 8, "loss": 0.5, "images_per_s": 1.0, "data_wait": 0.0}


class Output:
    """What `display(..., display_id=True)` gives: an output of a cell that can be replaced."""

    def __init__(self) -> None:
        self.pages: list[str] = []

    def update(self, html: Any) -> None:
        self.pages.append(html.data)


@pytest.fixture
def outputs(monkeypatch) -> list[Output]:
    found: list[Output] = []

    def display(*_: Any, display_id: bool = False) -> Output:
        found.append(Output())
        return found[-1]

    monkeypatch.setattr("IPython.display.display", display)
    monkeypatch.setattr("unetpp.api.progress.notebook._REFRESH_S", 0)
    console = lambda: Console(force_jupyter=True)  # noqa: E731
    for module in ("train_progress", "data_progress", "image_progress", "sweep_table"):
        monkeypatch.setattr(f"unetpp.api.progress.{module}.stderr_console", console)
    return found


def test_training_is_one_output_that_is_replaced_and_then_empty(outputs) -> None:
    with TrainProgress(4, first_epoch=0) as progress:
        progress.progress(PROGRESS)
    pages = outputs[0].pages
    assert "epoch 1/4" in pages[-2]
    assert "3/8" in pages[-2]
    assert pages[-1] == ""


def test_packing_shows_its_phases_and_leaves_them(outputs) -> None:
    with DataProgress() as progress:
        progress.pack(Progress("scan", 1, 2, 0))
        progress.pack(Progress("write", 2, 2, 1))
    last = outputs[0].pages[-1]
    assert "scan" in last
    assert "write" in last
    assert "1 rejected" in last


def test_images_are_counted(outputs) -> None:
    with ImageProgress("predicting") as progress:
        progress(1, 5)
    assert "1/5" in outputs[0].pages[0]


def test_sweep_is_a_table(outputs) -> None:
    with SweepTable(load_config(None, []).model_dump(mode="json"), epochs=2) as table:
        table.started(0, {})
        table.epoch(0, {"epoch": 1, "val": {"levels": {"1": {"dice": 0.75}}}})
        table.ended(0)
    assert "RUNNING" in outputs[0].pages[0]
    assert "STOPPED" in outputs[0].pages[-1]
    assert "L1 0.750" in outputs[0].pages[-1]


def test_text_is_shown_as_text() -> None:
    from unetpp.api.progress.notebook import NotebookLive, _html

    assert "&lt;b&gt;" in _html("<b>")
    live = NotebookLive(lambda: "", transient=True)
    live.refresh()
    live.stop()


def test_elsewhere_nothing_is_drawn_again() -> None:
    plain = Console(force_jupyter=False, force_terminal=False)
    assert bars.new_bar(plain, transient=True) is None
    assert bars.new_live(plain, lambda: "", refresh_per_second=2) is None
