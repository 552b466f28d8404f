"""The figures of a sweep's page."""

from collections.abc import Sequence
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from unetpp.report.numbers import count_text, duration_text
from unetpp.report.svg import COLOURS, FULL_WIDTH_IN, INK, drawing
from unetpp.report.sweep.data import TrialData
from unetpp.tuning.results.leaderboard import LeaderRow
from unetpp.tuning.results.pareto import pareto_front

__all__ = ["curves_svg", "history_svg", "pareto_svg"]

_BLUE, _ORANGE = COLOURS[0], COLOURS[1]
_LOG_RATIO = 8
"""Costs that differ by more are drawn on a logarithmic axis."""
_MANY_LABELS_RATIO = 300
"""From here on a logarithmic axis has a label a decade only."""


def pareto_svg(rows: Sequence[LeaderRow], cost: Literal["latency", "params"], y_label: str) -> str:
    """Quality against one cost: a point a (trial, level), coloured by level, the front joined by a line."""
    title = {"latency": "time per image", "params": "parameters"}[cost]
    text = {"latency": duration_text, "params": count_text}[cost]
    with drawing(f"{y_label} against {title}, a point a trial and level") as drawn:
        axes = drawn.axes
        front = sorted(pareto_front(rows, ("quality", cost)), key=lambda row: _cost(row, cost))
        axes.step(
            [_cost(row, cost) for row in front],
            [row.quality for row in front],
            where="post", color=INK, alpha=0.45, linewidth=1.2, zorder=1,
        )  # fmt: skip
        for level in sorted({row.level for row in rows}):
            colour = COLOURS[(level - 1) % len(COLOURS)]
            own = [row for row in rows if row.level == level]
            for points, size, alpha in (
                ([row for row in own if row not in front], 26, 0.5),
                ([row for row in own if row in front], 52, 1.0),
            ):
                x, y = [_cost(row, cost) for row in points], [row.quality for row in points]
                axes.scatter(x, y, s=size, alpha=alpha, color=colour, linewidths=0, zorder=2)
            axes.scatter([], [], s=30, color=colour, linewidths=0, label=f"level {level}")
        _scale(axes, [_cost(row, cost) for row in rows])
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: text(value)))
        axes.set_xlabel(title)
        axes.set_ylabel(y_label)
        axes.legend(fontsize=9, ncols=2, loc="lower right")
    return drawn.svg


def history_svg(trials: Sequence[TrialData], y_label: str) -> str:
    """Quality by trial number, stopped trials hollow, with the best complete trial so far."""
    with drawing(f"{y_label} by trial number") as drawn:
        axes = drawn.axes
        scored = [(trial, trial.quality) for trial in trials if trial.quality is not None]
        for outcome, label, face in (
            ("COMPLETE", "complete", _BLUE),
            ("PRUNED", "stopped early", "none"),
            ("RUNNING", "running", COLOURS[2]),
            ("FAIL", "failed", COLOURS[5]),
        ):
            own = [(trial.number, quality) for trial, quality in scored if trial.outcome == outcome]
            if own:
                edge = _BLUE if face == "none" else face
                x, y = zip(*own, strict=True)
                axes.scatter(x, y, s=26, facecolors=face, edgecolors=edge, label=label, zorder=2)
        complete = [(trial.number, quality) for trial, quality in scored if trial.outcome == "COMPLETE"]
        if complete:
            best = [max(q for _, q in complete[: index + 1]) for index in range(len(complete))]
            numbers = [number for number, _ in complete]
            # On to the last trial, complete or not.
            numbers, best = [*numbers, trials[-1].number], [*best, best[-1]]
            axes.step(numbers, best, where="post", color=_ORANGE, label="best so far", zorder=1)
        axes.set_xlabel("trial")
        axes.set_ylabel(y_label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(fontsize=9, ncols=2, loc="best")
    return drawn.svg


def curves_svg(trials: Sequence[TrialData], best: int, y_label: str) -> str:
    """Quality by epoch, one line a trial: stopped and failed ones faint, the best one thick."""
    with drawing(f"{y_label} by epoch of every trial", FULL_WIDTH_IN, 3.6) as drawn:
        axes = drawn.axes
        shown: set[str] = set()
        for trial in sorted(trials, key=lambda trial: (trial.number == best, trial.outcome == "COMPLETE")):
            if not trial.curve:
                continue
            epochs, qualities = zip(*trial.curve, strict=True)
            if trial.number == best:
                label, colour, width, alpha = f"trial {best}, the best", _ORANGE, 2.4, 1.0
            elif trial.outcome == "COMPLETE":
                label, colour, width, alpha = "complete", _BLUE, 1.2, 0.8
            elif trial.outcome == "RUNNING":
                label, colour, width, alpha = "running", COLOURS[2], 1.2, 0.9
            else:
                label, colour, width, alpha = "stopped or failed", INK, 1.0, 0.35
            marker = "o" if len(epochs) < 30 else ""
            axes.plot(
                epochs, qualities, color=colour, linewidth=width, alpha=alpha, marker=marker, markersize=3,
                label="" if label in shown else label,
            )  # fmt: skip
            shown.add(label)
        axes.set_xlabel("epoch")
        axes.set_ylabel(y_label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(fontsize=9, loc="lower right")
    return drawn.svg


def _cost(row: LeaderRow, cost: Literal["latency", "params"]) -> float:
    return row.latency_s if cost == "latency" else float(row.params)


def _scale(axes: Axes, costs: Sequence[float]) -> None:
    low, high = min(costs), max(costs)
    if low > 0 and high > _LOG_RATIO * low:
        axes.set_xscale("log")
        steps = (1, 2, 5) if high < _MANY_LABELS_RATIO * low else (1,)
        axes.xaxis.set_major_locator(LogLocator(subs=steps))
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        axes.xaxis.set_major_locator(MaxNLocator(5))
