"""Figures as inline SVG: transparent, and black replaced by the page's text colour for dark mode."""

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

__all__ = ["COLOURS", "confusion_svg", "histogram_svg", "lines_svg"]

# Colour-blind safe (Okabe and Ito) and legible on white and on near-black.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
_INK = "#010203"
"""Drawn with this colour, then replaced by `currentColor`."""
_WIDTH_IN, _HEIGHT_IN = 5.6, 2.9
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "unetpp",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": _INK,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.18,
    "grid.color": _INK,
    "legend.frameon": False,
}

Points = Mapping[str, tuple[Sequence[float], Sequence[float]]]


def lines_svg(series: Points, *, y_label: str, x_label: str = "epoch") -> str:
    """One line a series; x and y of equal length, in the order of the mapping.

    Args:
        series: name to (x, y).
    """
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH_IN, _HEIGHT_IN), layout="constrained")
        axes = figure.add_subplot()
        for index, (name, (x, y)) in enumerate(series.items()):
            marker = "o" if len(x) < 30 else ""
            axes.plot(x, y, label=name, color=COLOURS[index % len(COLOURS)], marker=marker, markersize=3)
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if len(series) > 1:
            axes.legend(fontsize=9, ncols=min(len(series), 3))
        return _svg(figure, f"{y_label} over {x_label}")


def histogram_svg(labels: Sequence[str], values: Sequence[float], *, x_label: str, y_label: str) -> str:
    """One bar a label."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH_IN, _HEIGHT_IN), layout="constrained")
        axes = figure.add_subplot()
        axes.bar(range(len(values)), values, color=COLOURS[0])
        axes.set_xticks(range(len(labels)), labels, fontsize=9)
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        axes.grid(visible=False, axis="x")
        return _svg(figure, f"{y_label} by {x_label}")


def confusion_svg(labels: Sequence[str], counts: Sequence[Sequence[int]]) -> str:
    """Row-normalised confusion matrix: the share of each true class's pixels predicted as each class."""
    size = len(labels)
    with matplotlib.rc_context(_STYLE):
        side = 1.9 + 0.42 * size
        figure = Figure(figsize=(side + 0.6, side), layout="constrained")
        axes = figure.add_subplot()
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
        return _svg(figure, "confusion matrix, percent of each true class's pixels")


def _svg(figure: Figure, description: str) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    # Only the element: prolog and document type have no place inside HTML.
    text = text[text.index("<svg") :].replace(_INK, "currentColor")
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    label = description.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return text.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)
