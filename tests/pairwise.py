"""Combinations of options that hold every pair of values; the others run at night."""

import itertools
from collections.abc import Sequence
from typing import Any

import pytest

__all__ = ["pairwise"]


def pairwise(*axes: Sequence[Any]) -> list[Any]:
    """All combinations as parameters of a test, those beyond a pairwise cover marked `nightly`.

    Faults of options come from one value or from two together; a greedy cover tries each such pair at a
    fraction of the product's cost.
    """
    product = list(itertools.product(*(range(len(axis)) for axis in axes)))
    missing = {pair for combination in product for pair in _pairs(combination)}
    chosen = set()
    while missing:
        best = max(product, key=lambda combination: len(missing & _pairs(combination)))
        missing -= _pairs(best)
        chosen.add(best)
    return [
        pytest.param(
            *(axis[index] for axis, index in zip(axes, combination, strict=True)),
            marks=() if combination in chosen else pytest.mark.nightly,
        )
        for combination in product
    ]


def _pairs(combination: tuple[int, ...]) -> set[tuple[tuple[int, int], tuple[int, int]]]:
    return set(itertools.combinations(enumerate(combination), 2))
