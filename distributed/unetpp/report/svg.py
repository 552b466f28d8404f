"""Figures as inline SVG: transparent, and black replaced by the page's text colour for dark mode."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = ["COLOURS", "FULL_WIDTH_IN", "HEIGHT_IN", "INK", "WIDTH_IN", "Drawing", "drawing"]

# Colour-blind safe (Okabe and Ito) and legible on white and on near-black.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
INK = "#010203"
"""Drawn with this colour, then replaced by `currentColor`."""
WIDTH_IN, HEIGHT_IN = 5.6, 2.9
"""Of a figure that shares its line with another."""
FULL_WIDTH_IN = 11.4
"""Of a figure alone on its line: text is as large as in the small ones."""
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "unetpp",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.18,
    "grid.color": INK,
    "legend.frameon": False,
}


class Drawing:
    """One pair of axes; `svg` is set when the `drawing` block ends."""

    def __init__(self, figure: Figure) -> None:
        self._figure = figure
        self.axes: Axes = figure.add_subplot()
        self.svg = ""

    def finish(self, description: str) -> None:
        """Render; the description is what a screen reader says."""
        buffer = io.StringIO()
        self._figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
        text = buffer.getvalue()
        # Only the element: prolog and document type have no place inside HTML.
        text = text[text.index("<svg") :].replace(INK, "currentColor")
        text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
        label = description.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
        self.svg = text.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)


@contextmanager
def drawing(description: str, width_in: float = WIDTH_IN, height_in: float = HEIGHT_IN) -> Iterator[Drawing]:
    """Draw in the pages' style; the figure is rendered at the end of the block."""
    with matplotlib.rc_context(_STYLE):
        drawn = Drawing(Figure(figsize=(width_in, height_in), layout="constrained"))
        yield drawn
        drawn.finish(description)
