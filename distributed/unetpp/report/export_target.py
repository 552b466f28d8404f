"""The picture of a search for an export: Dice against speed of all candidates."""

from collections.abc import Mapping, Sequence
from typing import Any

from unetpp.report.svg import COLOURS, INK, drawing

__all__ = ["target_svg"]


def target_svg(rows: Sequence[Mapping[str, Any]], chosen: Mapping[str, Any], max_drop: float) -> str:
    """SVG of the candidates, the front of those that none beats in both, and the least Dice that is allowed.

    Args:
        rows: as `export_best` gives them, the reference first.
        chosen: one of them.
        max_drop: of the Dice.
    """
    front = [row for row in rows if not any(_beats(other, row) for other in rows)]
    front.sort(key=lambda row: row["images_per_s"])
    said = f"Dice against images per second of {len(rows)} exports; chosen: {_name(chosen)}"
    with drawing(said, 7.2, 4.2) as drawn:
        axes = drawn.axes
        for colour, engine in zip(COLOURS, sorted({row["engine"] for row in rows}), strict=False):
            own = [row for row in rows if row["engine"] == engine]
            speeds, scores = [row["images_per_s"] for row in own], [row["dice"] for row in own]
            axes.scatter(speeds, scores, s=22, color=colour, label=engine)
        axes.plot([r["images_per_s"] for r in front], [r["dice"] for r in front], color=INK, lw=0.8)
        axes.axhline(rows[0]["dice"] - max_drop, color=INK, lw=0.8, ls=":")
        for row in front:
            place = (row["images_per_s"], row["dice"])
            axes.annotate(_name(row), place, xytext=(4, 4), textcoords="offset points", fontsize=8)
        axes.scatter([chosen["images_per_s"]], [chosen["dice"]], s=110, facecolors="none", edgecolors=INK)
        axes.set_xscale("log")
        axes.set_xlabel("images per second")
        axes.set_ylabel("Dice")
        axes.legend()
    # As a file of its own there is no page whose colour it takes.
    return drawn.svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" color="#333" ', 1)


def _beats(other: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    better = other["dice"] >= row["dice"] and other["images_per_s"] >= row["images_per_s"]
    return better and (other["dice"], other["images_per_s"]) != (row["dice"], row["images_per_s"])


def _name(row: Mapping[str, Any]) -> str:
    return f"level {row['level']} {row['precision']}"
