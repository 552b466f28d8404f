"""Numbers and sizes as people read them."""

import json
from collections.abc import Sequence
from typing import Any

__all__ = ["bytes_text", "count_text", "duration_text", "percent", "score", "significant", "size_text"]


def score(value: float | None) -> str:
    """A Dice, IoU or similar to three decimals."""
    return "–" if value is None else f"{value:.3f}"


def percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def count_text(value: float | None) -> str:
    """A count with a thousands unit: 9.04 M."""
    if value is None:
        return "–"
    for limit, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:.3g} {unit}"
    return f"{value:.0f}"


def bytes_text(value: float) -> str:
    for limit, unit in ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if value >= limit:
            return f"{value / limit:.3g} {unit}"
    return f"{value:.0f} B"


def size_text(size_px: int | Sequence[int]) -> str:
    """Sides of an image, or that of a square: 64 × 64."""
    return " × ".join(map(str, [size_px] * 2 if isinstance(size_px, int) else size_px))


def duration_text(seconds: float | None) -> str:
    """Seconds as `1 h 02 min`, `3 min 20 s`, `4.2 s` or `12 ms`."""
    if seconds is None:
        return "–"
    if seconds >= 3600:
        return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60):02d} min"
    if seconds >= 60:
        return f"{int(seconds // 60)} min {int(seconds % 60):02d} s"
    return f"{seconds:.1f} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"


def significant(value: Any) -> str:
    """A configuration value as it is typed, numbers to four significant digits."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value)
