"""What a folder, a run and a sweep show, as blocks; read anew each time."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from unetpp.core.errors import UnetppError
from unetpp.core.logs import redact
from unetpp.core.places import trial_uri
from unetpp.core.rundir import RunDir
from unetpp.report.live.blocks import Block, Points, cards, chart, link, message, table
from unetpp.report.numbers import duration_text, percent, score
from unetpp.report.run import sections
from unetpp.report.run.data import RunData, load_run_data
from unetpp.report.sweep import sections as sweep_sections
from unetpp.report.sweep.data import SweepData, load_sweep_data
from unetpp.tuning.find_runs import RunListing

__all__ = ["folder_view", "page_path", "run_view", "sweep_view"]

_CURVES = (
    ("loss", "Training loss", 1.0),
    ("images_per_s", "Images per second", 1.0),
    ("data_wait", "Waiting for data, percent of training time", 100.0),
)
_SWEEP_COLUMNS = ("Sweep", "State", "Trials", "Best", "Of trial", "Training")
_RUN_COLUMNS = ("Run", "State", "Epochs", "Dice", "Images/s", "Waiting for data", "Training")
_SWEEP_LINES = 40
"""Curves of the trials that were started last; more cannot be told apart."""

_Row = list[str | Block]
_ReadRow = Callable[[str], list[str]]


def folder_view(root: str, found: RunListing) -> list[Block]:
    """The runs and sweeps below a folder or URI; one that cannot be read is named, with the reason."""
    unreadable: list[Block] = []

    def rows(kind: str, paths: Sequence[str], columns: Sequence[str], read: _ReadRow) -> list[_Row]:
        listed = []
        for path in paths:
            name = link(path or "this folder", page_path(kind, path))
            try:
                cells = read(_join(root, path))
            except (UnetppError, OSError, ValueError, KeyError) as error:
                unreadable.append(message(f"{path or root}: {redact(str(error))}"))
                cells = ["unreadable", *["–"] * (len(columns) - 2)]
            row: _Row = [name, *cells]
            listed.append(row)
        return listed

    sweeps = rows("sweep", found.sweeps, _SWEEP_COLUMNS, _sweep_cells)
    runs = rows("run", found.runs, _RUN_COLUMNS, _run_cells)
    blocks = []
    if sweeps or not runs:
        blocks.append(table("Sweeps", _SWEEP_COLUMNS, sweeps, "No sweep yet."))
    blocks.append(table("Runs", _RUN_COLUMNS, runs, "No run yet: it appears when `unetpp train` starts one."))
    return blocks + unreadable


def run_view(uri: str) -> tuple[str, list[Block]]:
    """State and blocks of a run.

    Raises:
        UnetppError: it cannot be read.
    """
    data = load_run_data(uri)
    latest = data.epochs[-1] if data.epochs else None
    numbers = sections.headline(data)
    if latest is not None:
        numbers += [
            ("Images per second", f"{latest['images_per_s']:.1f}", f"{latest.get('workers', 1)} worker(s)"),
            ("Waiting for data", percent(latest["data_wait"]), "of training time, last epoch"),
        ]
        if "cache" in latest:
            numbers.append(("Cache hits", percent(latest["cache"]["hit_rate"]), "of shards, last epoch"))
    if not data.epochs:
        return _run_state(data), [cards(numbers), message("No epoch has finished yet.")]
    return _run_state(data), [cards(numbers), *_run_charts(data)]


def sweep_view(uri: str, path: str) -> tuple[str, list[Block]]:
    """State and blocks of a sweep; `path` is where the site has it.

    Raises:
        UnetppError: it cannot be read.
    """
    data = load_sweep_data(uri)
    metric = sweep_sections.METRIC_TITLES[data.config.tune.metric]
    trials: list[_Row] = [
        [
            link(f"trial {row['trial']}", page_path("run", trial_uri(path, row["trial"]))),
            row["state"],
            str(row["epochs"]),
            row["quality"],
            row["time"],
            row["settings"],
        ]
        for row in sorted(sweep_sections.trial_rows(data), key=lambda row: -row["trial"])
    ]
    leaders = [
        [str(row["trial"]), str(row["level"]), row["quality"], row["latency"], row["params"], row["settings"]]
        for row in sweep_sections.leader_rows(data)[:10]
    ]
    blocks = [
        cards(sweep_sections.headline_cards(data)),
        _sweep_chart(data, metric),
        table(
            "Best networks",
            ("Trial", "Level", metric, "Time per image", "Parameters", "Settings that differ"),
            leaders,
            "No trial has a result yet.",
        ),
        table(
            "Trials",
            ("Trial", "State", "Epochs", metric, "Training", "Settings that differ"),
            trials,
            "No trial has started yet.",
        ),
    ]
    problems = [[str(row["trial"]), row["state"], row["cause"]] for row in sweep_sections.problem_rows(data)]
    if problems:
        blocks.append(table("Failures", ("Trial", "State", "Cause"), problems, ""))
    return data.state, blocks


def page_path(kind: str, path: str) -> str:
    """The site's path of a run or sweep."""
    return f"/{kind}/{quote(path)}"


def _run_cells(uri: str) -> list[str]:
    run = RunDir(uri)
    epochs, config, result = run.read_metrics(), run.read_config(), run.read_result()
    dice = [epoch["val"]["dice"] for epoch in epochs if epoch.get("val")]
    latest = epochs[-1] if epochs else {}
    return [
        "unfinished" if result is None else "finished",
        sections.epochs_text(epochs, config["train"]),
        score(max(dice, default=None)),
        f"{latest['images_per_s']:.1f}" if latest else "–",
        percent(latest.get("data_wait")),
        duration_text(sum(epoch["seconds"] for epoch in epochs)) if epochs else "–",
    ]


def _sweep_cells(uri: str) -> list[str]:
    data = load_sweep_data(uri)
    seconds = sum(trial.seconds for trial in data.trials)
    best = data.best
    return [
        data.state,
        f"{len(data.trials)} of {data.config.tune.trials}",
        "–" if best is None else score(best.quality),
        "–" if best is None else f"{best.trial}, level {sweep_sections.network_text(best)}",
        duration_text(seconds) if seconds else "–",
    ]


def _run_charts(data: RunData) -> list[Block]:
    charts = [
        chart(title, {title: [(epoch["epoch"], _finite(factor * epoch[key])) for epoch in data.epochs]})
        for key, title, factor in _CURVES
    ]
    validated = [epoch for epoch in data.epochs if epoch.get("val")]
    if validated:
        charts.insert(1, chart("Validation Dice", _by_level(validated)))
    return charts


def _by_level(validated: Sequence[Mapping[str, Any]]) -> dict[str, Points]:
    return {
        f"level {level}": [
            (epoch["epoch"], _finite(epoch["val"]["levels"][level]["dice"])) for epoch in validated
        ]
        for level in validated[0]["val"]["levels"]
    }


def _sweep_chart(data: SweepData, metric: str) -> Block:
    best = None if data.best is None else f"trial {data.best.trial}"
    shown = [trial for trial in data.trials if trial.curve]
    kept = shown[-_SWEEP_LINES:] + [t for t in shown[:-_SWEEP_LINES] if f"trial {t.number}" == best]
    series = {
        f"trial {trial.number}": [(epoch, _finite(value)) for epoch, value in trial.curve] for trial in kept
    }
    return chart(f"Validation {metric} of each trial's best level", series, emphasised=best)


def _run_state(data: RunData) -> str:
    return "unfinished" if data.result is None else "finished"


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _join(root: str, path: str) -> str:
    return f"{root.rstrip('/')}/{path}" if path else root
