"""Views: which there are, and that what one turns is turned back."""

import pytest
import torch
from torch import nn

from unetpp.config.sections.data import AugmentConfig
from unetpp.config.symmetries import Symmetries
from unetpp.core.errors import ConfigError
from unetpp.inference.ensemble.views import MeanOfViews, allowed_views, seen, seen_back
from unetpp.models.output import ModelOutput


@pytest.mark.parametrize(
    ("config", "spatial_dims", "views"),
    [
        ({}, 2, 4),
        ({}, 3, 8),
        ({"flip_vertical": 0.0}, 2, 2),
        ({"flip": 0.0}, 2, 1),
        ({"rotate_deg": 180}, 2, 8),
        ({"rotate_deg": 90, "flip": 0.0}, 2, 3),
        ({"rotate_deg": 180, "affine": 0.0}, 2, 4),
        ({"rotate_deg": 180}, 3, 16),
        ({"enabled": False}, 2, 1),
    ],
)
def test_views_are_those_that_the_augmentation_allowed(config, spatial_dims, views):
    found = Symmetries.of(AugmentConfig(**config), spatial_dims).views()
    assert found[0] == (0, ())
    image = torch.arange(24).view(1, 2, 3, 4)
    assert len({tuple(seen(image, view).reshape(-1).tolist()) for view in found}) == len(found) == views


@pytest.mark.parametrize("turns", [0, 1, 2])
def test_seen_back_undoes_every_view(turns):
    image = torch.randn(2, 3, 4, 5, 7)
    for view in Symmetries(flips=(-1, -2, -3), quarter_turns=turns).views():
        assert torch.equal(seen_back(seen(image, view), view), image)


class _Slope(nn.Module):
    """Sees the gradient along x only: no view is like another."""

    def forward(self, images):
        return ModelOutput((images - images.roll(1, -1),), None)


def test_mean_of_views_commutes_with_every_view():
    views = Symmetries(flips=(-1, -2), quarter_turns=1).views()
    model, image = MeanOfViews(_Slope(), views, "binary", 2), torch.randn(1, 1, 6, 9)
    expected = model(image).levels[0]
    for view in views:
        torch.testing.assert_close(seen_back(model(seen(image, view)).levels[0], view), expected)


def test_views_of_a_training_without_any_are_refused():
    with pytest.raises(ConfigError, match=r"runs/a was trained with none.*leave --tta out"):
        allowed_views(Symmetries(), "runs/a")
    with pytest.raises(ConfigError, match="export it again"):
        allowed_views(None, "old.onnx")
