"""Fixtures of the prediction tests."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from untrained_run import random_samples, write_untrained_run

MakeRun = Callable[..., str]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """`write_untrained_run` below this test's folder."""
    return partial(write_untrained_run, tmp_path)


@pytest.fixture
def image() -> NDArray[np.uint8]:
    """uint8 (30, 21, 3)."""
    return random_samples("binary", [(30, 21)], seed=9)[0].image
