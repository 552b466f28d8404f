"""A sweep: one live table in a terminal or a notebook, one line per event elsewhere."""

import heapq
import logging
import sys
from typing import Any, Self

from rich.live import Live
from rich.table import Table

from unetpp.api.progress.bars import new_live, stderr_console
from unetpp.api.progress.notebook import NotebookLive
from unetpp.config.dilations import scored_networks
from unetpp.core.milestones import since_submission

__all__ = ["SweepTable", "sparkline"]

_BARS = "▁▂▃▄▅▆▇█"
_SHOWN_TRIALS = 20
_SHOWN_PARAMS = 4


class SweepTable:
    """A `SweepListener`: rows of trials with state, parameters, epoch and `tune.metric` of every level.

    Args:
        base: configuration of which trials show what differs.
        epochs: of a whole trial; 0 where trials go by minutes.
        reached: the best value of a sweep that goes on.
    """

    def __init__(self, base: dict[str, Any], epochs: int, reached: float = 0.0) -> None:
        self._base, self._epochs, self._metric = base, epochs, base["tune"]["metric"]
        self._quality = "Dice" if self._metric == "dice" else self._metric
        self._rows: dict[int, dict[str, Any]] = {}
        self._has_epoch = False
        self._best = reached
        self._console = stderr_console()
        self._live: Live | NotebookLive | None = None
        self._handlers: list[logging.StreamHandler[Any]] = []

    def __enter__(self) -> Self:
        # Whose lines would be written into the table: they follow stderr, which it takes while it is live.
        self._handlers = [
            handler
            for handler in logging.getLogger("unetpp").handlers
            if isinstance(handler, logging.StreamHandler) and handler.stream is sys.stderr
        ]
        self._live = new_live(self._console, self._table, refresh_per_second=2)
        if self._live is not None:
            self._live.start()
            self._log_to_stderr()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._live is not None:
            self._live.stop()
            self._log_to_stderr()

    def started(self, number: int, config: dict[str, Any]) -> None:
        # A trial that continues after a failure reports its earlier epochs again.
        again = number in self._rows
        row = self._rows[number] = {
            "state": "RUNNING",
            "params": _changed(self._base, config),
            "epoch": 0,
            "curve": [],
        }
        if again:
            self._line(f"trial {number} goes on from its last checkpoint")
        else:
            self._line(f"trial {number} started: {row['params'] or 'the base configuration'}")

    def epoch(self, number: int, metrics: dict[str, Any]) -> None:
        row = self._rows[number]
        if not self._has_epoch and (after := since_submission()):
            self._line(f"first epoch {after}")
        self._has_epoch = True
        row["epoch"], row["finished"] = int(metrics["epoch"]), metrics.get("finished", False)
        if "val" in metrics:
            row["levels"] = _best_of_levels(metrics, self._metric)
            row["curve"].append(max(row["levels"].values(), default=0.0))
            self._best = max(self._best, row["curve"][-1])
        levels = "  ".join(f"L{name} {value:.4f}" for name, value in row.get("levels", {}).items())
        reached = f"{self._quality} {levels}  best so far {self._best:.4f}"
        self._line(f"trial {number} epoch {self._of(row)}  {reached}")

    def ended(self, number: int) -> None:
        row = self._rows[number]
        is_whole = row["epoch"] >= self._epochs if self._epochs else row["finished"]
        row["state"] = "COMPLETE" if is_whole else "STOPPED"
        self._line(f"trial {number} {row['state'].lower()} after epoch {row['epoch']}")

    def _of(self, row: dict[str, Any]) -> str:
        return f"{row['epoch']}/{self._epochs}" if self._epochs else f"{row['epoch']}"

    def failed(self, number: int) -> None:
        self._rows[number]["state"] = "FAILED"
        self._line(f"trial {number} failed")

    def _line(self, text: str) -> None:
        if self._live is None:
            self._console.print(text, soft_wrap=True)
        elif isinstance(self._live, NotebookLive):
            self._live.refresh()

    def _log_to_stderr(self) -> None:
        for handler in self._handlers:
            handler.setStream(sys.stderr)

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False)
        for name in ("trial", "state", "parameters", "epoch", self._quality, "levels"):
            table.add_column(name)
        for number, row in self._shown():
            levels = " ".join(f"L{name} {value:.3f}" for name, value in row.get("levels", {}).items())
            table.add_row(
                str(number), row["state"], row["params"], self._of(row),
                sparkline(row["curve"]), levels,
            )  # fmt: skip
        return table

    def _shown(self) -> list[tuple[int, dict[str, Any]]]:
        """The newest rows, running ones first."""
        newest = heapq.nlargest(
            _SHOWN_TRIALS, self._rows, key=lambda number: (self._rows[number]["state"] == "RUNNING", number)
        )
        return [(number, self._rows[number]) for number in newest]


def sparkline(values: list[float]) -> str:
    """Values between 0 and 1 as bars."""
    return "".join(_BARS[min(int(max(value, 0.0) * len(_BARS)), len(_BARS) - 1)] for value in values)


def _best_of_levels(metrics: dict[str, Any], metric: str) -> dict[int, float]:
    """By level, of several networks of one level the best; a metric may not apply to shallow ones."""
    found: dict[int, float] = {}
    for (level, _), values in scored_networks(metrics):
        if metric in values:
            found[level] = max(found.get(level, values[metric]), values[metric])
    return found


def _changed(base: dict[str, Any], config: dict[str, Any]) -> str:
    pairs = [
        f"{section}.{name}={value}"
        for section, fields in config.items()
        if section in ("model", "loss", "optim", "augment", "data") and isinstance(fields, dict)
        for name, value in fields.items()
        if value != base[section][name] and base[section][name] != "auto" and name != "uri"
    ]
    more = f" (+{len(pairs) - _SHOWN_PARAMS})" if len(pairs) > _SHOWN_PARAMS else ""
    return " ".join(pairs[:_SHOWN_PARAMS]) + more
