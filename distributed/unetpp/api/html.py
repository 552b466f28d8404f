"""Tables for notebooks: numbers to four digits, text escaped."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

__all__ = ["facts", "scores_table", "table", "text"]

_LEFT = "style='text-align:left'"
_SCORES = {
    "dice": "Dice",
    "iou": "IoU",
    "dice_per_image": "Dice/image",
    "iou_per_image": "IoU/image",
    "precision": "precision",
    "recall": "recall",
}


def facts(entries: Mapping[str, Any]) -> str:
    """One row an entry, its name in front."""
    rows = (
        f"<tr><th {_LEFT}>{escape(name)}</th><td {_LEFT}>{escape(text(value))}</td></tr>"
        for name, value in entries.items()
    )
    return f"<table>{''.join(rows)}</table>"


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table with a head; nothing without rows."""
    body = "".join(f"<tr>{''.join(f'<td>{escape(text(value))}</td>' for value in row)}</tr>" for row in rows)
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    return f"<table><tr>{head}</tr>{body}</table>" if body else ""


def scores_table(of: str, scores: Mapping[str, Mapping[str, Any]]) -> str:
    """Whichever scores are there, one row a name."""
    keys = [key for key in _SCORES if any(key in entry for entry in scores.values())]
    rows = ([name, *(entry.get(key) for key in keys)] for name, entry in scores.items())
    return table([of, *(_SCORES[key] for key in keys)], rows)


def text(value: Any, *, between: str = "; ") -> str:
    """A value on one line, the entries of a list with `between` in between."""
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={text(entry, between=between)}" for key, entry in value.items())
    if isinstance(value, list | tuple):
        return between.join(_entry(entry, between) for entry in value) or "none"
    return str(value)


def _entry(value: Any, between: str) -> str:
    """Of a list; a list in it is told apart by brackets."""
    told = text(value, between=between)
    return f"[{told}]" if isinstance(value, list | tuple) else told
