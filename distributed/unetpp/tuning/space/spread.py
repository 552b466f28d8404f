"""A few of many vectors of dilations, far from each other."""

import math
from collections.abc import Sequence

from unetpp.config.dilations import Dilation, extent

__all__ = ["spread"]


def spread(vectors: Sequence[Dilation], count: int) -> list[Dilation]:
    """At most `count` of them, from the smallest to the largest, whatever order they come in.

    The smallest, then the largest, then always the one whose nearest chosen one is furthest, in logarithms of
    the dilations (farthest-point sampling, Gonzalez 1985).

    Args:
        vectors: distinct, of one length, at least one.
    """
    smallest, *left = sorted(vectors, key=extent)
    chosen = [smallest]
    while left and len(chosen) < count:
        if len(chosen) == 1:
            chosen.append(left.pop())
            continue
        nearest = [min(_distance(vector, other) for other in chosen) for vector in left]
        chosen.append(left.pop(nearest.index(max(nearest))))
    return sorted(chosen, key=extent)


def _distance(one: Dilation, other: Dilation) -> float:
    return math.dist([math.log2(entry) for entry in one], [math.log2(entry) for entry in other])
