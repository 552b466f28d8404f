"""Sweeps that take seconds, and a listener that remembers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from machines import machine
from unetpp.config import load_config
from unetpp.tuning.ledger import Ledger
from unetpp.tuning.setup import plan_sweep
from unetpp.tuning.space.space import load_space
from unetpp.tuning.sweep import Sweep, claim_sweep

LAPTOP = machine()
SPACE = """
def space(trial):
    return {"optim.lr": trial.suggest_float("optim.lr", 1e-4, 1e-1, log=True)}
"""


class Recorder:
    """A listener that remembers, and acts on each epoch."""

    def __init__(self, act: Callable[[int, int], None] = lambda _number, _epoch: None) -> None:
        self.epochs: list[tuple[int, int]] = []
        self.failures: list[int] = []
        self._act = act

    def started(self, number: int, config: dict[str, Any]) -> None:
        pass

    def epoch(self, number: int, metrics: dict[str, Any]) -> None:
        self.epochs.append((number, metrics["epoch"]))
        self._act(number, metrics["epoch"])

    def ended(self, number: int) -> None:
        pass

    def failed(self, number: int) -> None:
        self.failures.append(number)


def start_sweep(
    folder: Path, data: str | Path, *overrides: str, source: str = SPACE, resume: bool = False
) -> Sweep:
    """Plan and claim the sweep folder/sweep with a tiny network and random draws."""
    path = folder / "space.py"
    path.write_text(source)
    base = ["model.depth=2", "model.width=2", "data.batch_size=4", "train.trackers=[]", "tune.sampler=random"]
    config = load_config(None, [f"data.uri={data}", f"out={folder / 'sweep'}", *base, *overrides])
    return claim_sweep(plan_sweep(config, load_space(path), LAPTOP, resume=resume), resume=resume)


def epoch_metrics(epoch: int, dice: float, *, finished: bool = False, seconds: float = 1.0) -> dict[str, Any]:
    """What a trial of depth 2 reports after an epoch."""
    levels = {str(k): {"dice": dice - 0.01 * (2 - k), "latency_s": 0.001 * k} for k in (1, 2)}
    return {"epoch": epoch, "seconds": seconds, "finished": finished, "val": {"levels": levels}}


def play_trial(ledger: Ledger, dice: float, epochs: int = 9) -> tuple[int, int]:
    """Play the next trial until it is stopped or has finished; returns its number and last epoch."""
    spec = ledger.next_trial()
    assert spec is not None
    for epoch in range(1, epochs + 1):
        if ledger.report(spec.number, epoch_metrics(epoch, dice, finished=epoch == epochs)) == "stop":
            break
    ledger.end(spec.number)
    return spec.number, epoch
