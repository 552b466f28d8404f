"""Parallel coordinates: every trial a line through the values of its parameters."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution

from unetpp.report.numbers import score, significant
from unetpp.report.svg import COLOURS, FULL_WIDTH_IN, INK, drawing
from unetpp.report.sweep.data import TrialData

__all__ = ["MAX_AXES", "parallel_svg", "positions"]

MAX_AXES = 10
"""More parameters are not readable at the page's width."""
_LEGIBLE_CHARS = 14


def parallel_svg(trials: Sequence[TrialData], names: Sequence[str], best: int, quality_label: str) -> str:
    """One axis for quality, then one a parameter; better trials are drawn stronger, the best one thick.

    A line has no dot on the axis of a conditional parameter that its trial does not have.

    Args:
        trials: those with a quality; at least one has each parameter.
        names: parameters, left to right; at most MAX_AXES.
        best: number of the best trial.
        quality_label: of the first axis: the last ones are those that few trials have.
    """
    found = [
        {i: trial.settings[name] for i, trial in enumerate(trials) if name in trial.settings}
        for name in names
    ]
    columns = [
        positions({index: trial.quality for index, trial in enumerate(trials)}, None),
        *(positions(values, _of(trials, name)) for values, name in zip(found, names, strict=True)),
    ]
    order = sorted(range(len(trials)), key=lambda i: (trials[i].number == best, trials[i].quality))
    with drawing(f"parameters and {quality_label} of every trial", FULL_WIDTH_IN, 3.9) as drawn:
        axes = drawn.axes
        for rank, index in enumerate(order):
            strongest = trials[index].number == best
            own = [(place, places[index]) for place, (places, _) in enumerate(columns) if index in places]
            axes.plot(
                *zip(*own, strict=True),
                color=COLOURS[1] if strongest else COLOURS[0],
                linewidth=2.6 if strongest else 1.2,
                alpha=1.0 if strongest else 0.15 + 0.65 * rank / len(order),
                marker="o", markersize=4 if strongest else 2.5,
            )  # fmt: skip
        for position, (_, ticks) in enumerate(columns):
            axes.axvline(position, color=INK, alpha=0.3, linewidth=0.8)
            for height, text in ticks:
                # Above the height, where lines meet less than beside it.
                axes.annotate(text, (position, height), (4, 5), textcoords="offset points", fontsize=8)
        axes.set_xticks(
            range(len(columns)), [_two_lines(name) for name in (quality_label, *names)], fontsize=9
        )
        axes.set_yticks([])
        axes.set_xlim(-0.1, len(columns) - 1 + 0.35)
        axes.set_ylim(-0.06, 1.1)
        axes.spines[["left", "bottom"]].set_visible(False)
        axes.tick_params(length=0)
        axes.grid(visible=False)
    return drawn.svg


def positions(
    values: Mapping[int, Any], distribution: BaseDistribution | None
) -> tuple[dict[int, float], list[tuple[float, str]]]:
    """Heights in 0..1 of a parameter's values by trial, and the labelled heights of its axis.

    Numbers are scaled between their extremes, logarithmically where they were drawn so; categories are spread
    evenly in the order of the space.
    """
    if isinstance(distribution, CategoricalDistribution):
        # Compared as text: True and 1 are two choices.
        given = {index: significant(value) for index, value in values.items()}
        used = [text for text in map(significant, distribution.choices) if text in given.values()]
        place = {text: index / (len(used) - 1) if len(used) > 1 else 0.5 for index, text in enumerate(used)}
        return {index: place[text] for index, text in given.items()}, [(place[t], _short(t)) for t in used]
    logarithmic = bool(getattr(distribution, "log", False))
    scale = math.log if logarithmic else float
    low, high = min(values.values()), max(values.values())
    span = scale(high) - scale(low)

    def height(value: float) -> float:
        return (scale(value) - scale(low)) / span if span else 0.5

    middle = math.sqrt(low * high) if logarithmic else (low + high) / 2
    marks = [low, high] if isinstance(low, int) or not span else [low, middle, high]
    text = score if distribution is None else significant
    return (
        {index: height(value) for index, value in values.items()},
        [(height(mark), text(mark)) for mark in dict.fromkeys(marks)],
    )


def _of(trials: Sequence[TrialData], name: str) -> BaseDistribution | None:
    return next((trial.distributions[name] for trial in trials if name in trial.distributions), None)


def _short(text: str) -> str:
    return text if len(text) <= _LEGIBLE_CHARS else f"{text[: _LEGIBLE_CHARS - 1]}…"


def _two_lines(name: str) -> str:
    section, _, field = name.partition(".")
    return f"{section}.\n{field}" if field else name
