"""Vectors of dilations, one entry per row of the network, several of which may share its weights."""

import math
from collections.abc import Iterator, Sequence

__all__ = ["Dilation", "distinct_networks", "extent"]

Dilation = tuple[int, ...]
"""One entry per row of the network."""


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
