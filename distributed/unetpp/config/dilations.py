"""Vectors of dilations, one entry per row of the network, several of which may share its weights."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

__all__ = ["Dilation", "Network", "distinct_networks", "extent", "scored_networks"]

Dilation = tuple[int, ...]
"""One entry per row of the network."""

Network = tuple[int, Dilation | None]
"""One that a training holds: its level, and the dilations of rows 0..level where it holds several."""


def extent(vector: Dilation) -> tuple[float, Dilation]:
    """Sorts vectors from the smallest field of view to the largest, equals in one order everywhere."""
    return sum(map(math.log2, vector)), vector


def distinct_networks(
    vectors: Sequence[Dilation], levels: Sequence[int]
) -> Iterator[tuple[Dilation, list[int]]]:
    """Each vector with its levels that no vector before it has: level k is a network of rows 0..k only."""
    seen: set[Dilation] = set()
    for vector in vectors:
        yield vector, [level for level in levels if vector[: level + 1] not in seen]
        seen.update(vector[: level + 1] for level in levels)


def scored_networks(metrics: Mapping[str, Any]) -> list[tuple[Network, Mapping[str, Any]]]:
    """Every network that an epoch scored with its scores, shallow to deep and small to large dilations.

    Args:
        metrics: an epoch's metrics as the training loop reports them.
    """
    scored = metrics.get("val", {})
    shared = scored.get("candidates", [{"dilation": None, "levels": scored.get("levels", {})}])
    found = [
        ((int(level), _rows(candidate["dilation"], int(level))), values)
        for candidate in shared
        for level, values in candidate["levels"].items()
    ]
    return sorted(found, key=lambda entry: (entry[0][0], extent(entry[0][1] or ())))


def _rows(dilation: Sequence[int] | None, level: int) -> Dilation | None:
    return None if dilation is None else tuple(dilation[: level + 1])
