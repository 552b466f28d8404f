"""The figures of a run's page."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.ticker import MaxNLocator

from unetpp.report.svg import COLOURS, INK, drawing

__all__ = ["bars_svg", "confusion_svg", "histogram_svg", "lines_svg", "reliability_svg"]

Points = Mapping[str, tuple[Sequence[float], Sequence[float]]]


def lines_svg(series: Points, *, y_label: str, x_label: str = "epoch") -> str:
    """One line a series; x and y of equal length, in the order of the mapping.

    Args:
        series: name to (x, y).
    """
    with drawing(f"{y_label} over {x_label}") as drawn:
        axes = drawn.axes
        for index, (name, (x, y)) in enumerate(series.items()):
            marker = "o" if len(x) < 30 else ""
            axes.plot(x, y, label=name, color=COLOURS[index % len(COLOURS)], marker=marker, markersize=3)
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if len(series) > 1:
            axes.legend(fontsize=9, ncols=min(len(series), 3))
    return drawn.svg


def histogram_svg(labels: Sequence[str], values: Sequence[float], *, x_label: str, y_label: str) -> str:
    """One bar a label."""
    with drawing(f"{y_label} by {x_label}") as drawn:
        axes = drawn.axes
        axes.bar(range(len(values)), values, color=COLOURS[0])
        axes.set_xticks(range(len(labels)), labels, fontsize=9)
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        axes.grid(visible=False, axis="x")
    return drawn.svg


def bars_svg(labels: Sequence[str], values: Sequence[float], *, x_label: str) -> str:
    """One lying bar a label, the first on top."""
    with drawing(f"{x_label} of {', '.join(labels)}", height_in=0.9 + 0.28 * len(labels)) as drawn:
        axes = drawn.axes
        axes.barh(range(len(values)), values, color=COLOURS[0], height=0.65)
        axes.set_yticks(range(len(labels)), labels, fontsize=9)
        axes.invert_yaxis()
        axes.set_xlabel(x_label)
        axes.grid(visible=False, axis="y")
    return drawn.svg


def confusion_svg(labels: Sequence[str], counts: Sequence[Sequence[int]]) -> str:
    """Row-normalised confusion matrix: the share of each true class's pixels predicted as each class."""
    size = len(labels)
    side_in = 1.9 + 0.42 * size
    with drawing("confusion matrix, percent of each true class's pixels", side_in + 0.6, side_in) as drawn:
        axes = drawn.axes
        shares = [[value / max(sum(row), 1) for value in row] for row in counts]
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        slanted: dict[str, Any] = {"rotation": 45, "ha": "right"} if size > 3 else {}
        axes.set_xticks(range(size), labels, **slanted)
        axes.set_yticks(range(size), labels)
        axes.set_xlabel("predicted")
        axes.set_ylabel("true")
        axes.grid(visible=False)
        for row, line in enumerate(shares):
            for column, share in enumerate(line):
                # Cells have their own background: fixed ink, not the page's.
                ink = "#ffffff" if share > 0.5 else "#222222"
                axes.text(column, row, f"{100 * share:.0f}", ha="center", va="center", color=ink, fontsize=9)
    return drawn.svg


def reliability_svg(bins: Sequence[Mapping[str, float]]) -> str:
    """Frequency over probability of each bin, beside the diagonal where they are equal; areas are shares."""
    with drawing("how often a probability comes true, by the probability", 3.4, 3.2) as drawn:
        axes = drawn.axes
        axes.plot([0, 1], [0, 1], color=INK, linewidth=0.8, alpha=0.5)
        probability = [entry["probability"] for entry in bins]
        frequency = [entry["frequency"] for entry in bins]
        axes.plot(probability, frequency, color=COLOURS[0], linewidth=1)
        axes.scatter(probability, frequency, [12 + 200 * entry["share"] for entry in bins], color=COLOURS[0])
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.set_xlabel("probability")
        axes.set_ylabel("frequency")
    return drawn.svg
