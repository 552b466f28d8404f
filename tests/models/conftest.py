"""Small networks, so that every combination of options can be tried."""

from typing import Any

import pytest
import torch

from unetpp.models.unetpp import UNetPlusPlus


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def tiny(**options: Any) -> UNetPlusPlus:
    """Depth 3, widths 2, 4, 8, 16; two image channels and two classes unless told otherwise."""
    return UNetPlusPlus(**{"in_channels": 2, "num_classes": 2, "depth": 3, "width": 2, **options})


@pytest.fixture(name="tiny")
def _tiny() -> Any:
    return tiny
