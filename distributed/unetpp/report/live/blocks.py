"""The parts of a live page, as JSON; the browser draws them and treats every text as text."""

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["Block", "Points", "cards", "chart", "images", "link", "message", "table"]

Block = dict[str, Any]
Points = Sequence[tuple[float, float | None]]
"""(x, y); None leaves a gap."""


def cards(entries: Sequence[tuple[str, str, str]]) -> Block:
    """Big numbers: (label, value, note)."""
    return {"kind": "cards", "entries": [list(entry) for entry in entries]}


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str | Block]], empty: str) -> Block:
    """Rows of texts and links; `empty` is shown where there are none."""
    return {
        "kind": "table",
        "title": title,
        "columns": list(columns),
        "rows": [list(row) for row in rows],
        "empty": empty,
    }


def chart(title: str, series: Mapping[str, Points], *, emphasised: str | None = None) -> Block:
    """Lines over the epoch; with one emphasised, the others are faint."""
    return {
        "kind": "chart",
        "title": title,
        "series": [
            {"name": name, "points": [list(point) for point in points]} for name, points in series.items()
        ],
        "emphasised": emphasised,
    }


def images(title: str, entries: Sequence[tuple[str, str]]) -> Block:
    """Pictures: (caption, source)."""
    return {"kind": "images", "title": title, "entries": [list(entry) for entry in entries]}


def message(text: str) -> Block:
    """One line of text."""
    return {"kind": "message", "text": text}


def link(text: str, href: str) -> Block:
    """A table's cell that leads to another page of the site."""
    return {"text": text, "href": href}
