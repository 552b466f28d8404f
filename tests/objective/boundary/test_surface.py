"""Distances between borders against all pairs of points, and against MONAI."""

import math

import numpy as np
import pytest
import torch
from monai.metrics import compute_hausdorff_distance, compute_surface_dice
from scipy.ndimage import binary_erosion, gaussian_filter

from unetpp.core.errors import ConfigError
from unetpp.objective.boundary.boundary_iou import boundary_iou, boundary_width_px
from unetpp.objective.boundary.scores import Tolerance, border_scores, parse_tolerance
from unetpp.objective.boundary.surface import border_of, surfaces_of


def regions(seed: int, size: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Two smooth regions that overlap."""
    generator = np.random.default_rng(seed)
    shared, other = (gaussian_filter(generator.normal(size=size), 2) for _ in range(2))
    return shared > 0, shared + 0.5 * other > 0


def naive_border(region: np.ndarray) -> np.ndarray:
    padded, points = np.pad(region, 1), []
    for point in np.argwhere(region):
        steps = [
            np.eye(region.ndim, dtype=int)[axis] * sign for axis in range(region.ndim) for sign in (1, -1)
        ]
        if not all(padded[tuple(point + 1 + step)] for step in steps):
            points.append(point)
    return np.array(points)


def one_hot(region: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(region)[None, None].float()


@pytest.mark.parametrize("size", [(13, 9), (5, 6, 7), (1, 8)])
def test_surfaces_of_random_regions_equal_all_pairs(size):
    generator = np.random.default_rng(1)
    true, predicted = generator.random(size) > 0.4, generator.random(size) > 0.4
    spacing = (3.0, 1.0, 0.5)[: len(size)]
    a, b = naive_border(predicted) * spacing, naive_border(true) * spacing
    distances = np.sqrt(((a[:, None] - b[None]) ** 2).sum(-1))
    found = surfaces_of(true, predicted, spacing)
    assert np.argwhere(border_of(true)).tolist() == naive_border(true).tolist()
    assert found.hd95 == pytest.approx(
        max(np.percentile(distances.min(1), 95), np.percentile(distances.min(0), 95))
    )
    within = (distances.min(1) <= 1).sum() + (distances.min(0) <= 1).sum()
    assert found.dice(1.0) == pytest.approx(within / (len(a) + len(b)))


@pytest.mark.parametrize(
    ("size", "spacing"), [((40, 31), (1.0, 1.0)), ((40, 31), (2.0, 0.7)), ((8, 14, 15), None)]
)
def test_surfaces_agree_with_monai(size, spacing):
    true, predicted = regions(0, size)
    found = surfaces_of(true, predicted, spacing)
    spaced = {} if spacing is None else {"spacing": spacing}
    pair = one_hot(predicted), one_hot(true)
    expected = compute_hausdorff_distance(*pair, include_background=True, percentile=95, **spaced)
    assert found.hd95 == pytest.approx(expected.item(), abs=1e-4)
    dice = compute_surface_dice(*pair, [1.5], include_background=True, **spaced)
    assert found.dice(1.5) == pytest.approx(dice.item(), abs=1e-6)


def test_surfaces_of_a_shifted_square_are_the_shift():
    true, shifted = np.zeros((2, 32, 32), dtype=np.bool_)
    true[4:20, 8:16] = shifted[4:20, 11:19] = True
    assert surfaces_of(true, shifted).hd95 == 3.0
    assert surfaces_of(true, shifted).dice(3) == 1.0
    assert surfaces_of(true, shifted).dice(0) < 0.5


def test_surfaces_with_an_empty_side_have_no_distance_and_no_surface_dice():
    empty, square = np.zeros((2, 6, 6), dtype=np.bool_)
    square[1:4, 1:4] = True
    assert math.isnan(surfaces_of(square, empty).hd95)
    assert surfaces_of(square, empty).dice(100) == 0
    assert math.isnan(surfaces_of(empty, empty).dice(1))


@pytest.mark.parametrize(("size", "width_px"), [((40, 31), 2), ((40, 31), 1), ((9, 14, 15), 3)])
def test_boundary_iou_equals_its_definition_by_erosion(size, width_px):
    """The authors' code erodes by a square as often as the band is wide, in an image padded by zeros."""
    true, predicted = regions(2, size)
    square = np.ones((3,) * len(size))
    bands = [
        region & ~binary_erosion(region, square, iterations=width_px, border_value=0)
        for region in (true, predicted)
    ]
    expected = (bands[0] & bands[1]).sum() / (bands[0] | bands[1]).sum()
    assert boundary_iou(true, predicted, width_px) == pytest.approx(expected)


def test_boundary_width_is_two_percent_of_the_diagonal():
    assert boundary_width_px((300, 400)) == 10
    assert boundary_width_px((10, 10)) == 1


def test_border_scores_leave_ignored_pixels_and_absent_classes_out():
    mask = torch.zeros(1, 12, 12, dtype=torch.uint8)
    mask[0, 2:6, 2:6], mask[0, 8:] = 1, 255
    logits = torch.full((1, 3, 12, 12), -1.0)
    logits[:, 0] = 0
    logits[:, 1, 2:6, 2:6] = 1
    logits[:, 2, 9:] = 5
    found = border_scores(logits, mask, "multiclass", Tolerance(1, "px"), None)
    assert found[1, :3].tolist() == [1, 1, 0]
    assert np.isnan(found[2]).all()
    assert np.isnan(found[:, 3]).all()
    in_mm = border_scores(logits, mask, "multiclass", Tolerance(1, "mm"), (2.0, 2.0))
    assert in_mm[1].tolist() == [1, 1, 0, 0]


def test_tolerance_is_read_with_its_unit():
    assert parse_tolerance("1.5mm") == Tolerance(1.5, "mm")
    assert parse_tolerance(" 3 ") == Tolerance(3, "px")
    with pytest.raises(ConfigError, match=r"2px or 1\.5mm"):
        parse_tolerance("3cm")
