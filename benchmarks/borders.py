"""Distances between the borders of two regions: a tree of their points against distance transforms.

    python benchmarks/borders.py

Two regions of smooth noise, the second moved by three pixels, large ones and small ones; CPU time, the least
of several rounds.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
from common import markdown
from numpy.typing import NDArray
from scipy import ndimage

from unetpp.objective.boundary.surface import border_of, surfaces_of

_SIDES_PX = (512, 2048)
_ROUNDS = 5
_SMALL_PX = 6.0
"""Smoothness of the noise, of which regions are a few times as large; of large ones a part of the side."""
_LARGE = 1 / 20
_MOVED_PX = 3


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args()
    rows = []
    for side_px, smoothness_px in ((side, px) for side in _SIDES_PX for px in (_LARGE * side, _SMALL_PX)):
        noise = np.random.default_rng(0).normal(size=(side_px, side_px))
        true = ndimage.gaussian_filter(noise, smoothness_px) > 0
        predicted = np.roll(true, _MOVED_PX, axis=(0, 1))
        tree, transforms = (_cpu_ms(measure, true, predicted) for measure in (_by_tree, _by_transforms))
        for ours, theirs in zip(_by_tree(true, predicted), _by_transforms(true, predicted), strict=True):
            assert np.allclose(np.sort(ours), np.sort(theirs))
        points = int(border_of(true).sum() + border_of(predicted).sum())
        rows.append((f"{side_px} x {side_px}", points, round(tree, 1), round(transforms, 1)))
    print(markdown(("image", "border pixels", "tree, ms", "distance transforms, ms"), rows))


def _by_tree(true: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> tuple[NDArray[np.float64], ...]:
    found = surfaces_of(true, predicted)
    return found.to_true, found.to_predicted


def _by_transforms(true: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> tuple[NDArray[np.float64], ...]:
    borders = border_of(true), border_of(predicted)
    to_true, to_predicted = (ndimage.distance_transform_edt(~border) for border in borders)
    return to_true[borders[1]], to_predicted[borders[0]]


def _cpu_ms(
    measure: Callable[[NDArray[np.bool_], NDArray[np.bool_]], object],
    true: NDArray[np.bool_],
    predicted: NDArray[np.bool_],
) -> float:
    times = []
    for _ in range(_ROUNDS):
        began_s = time.process_time()
        measure(true, predicted)
        times.append(time.process_time() - began_s)
    return 1000 * min(times)


if __name__ == "__main__":
    main()
