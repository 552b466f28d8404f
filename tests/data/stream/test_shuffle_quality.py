"""Windows of a few shards shuffle nearly as well as a permutation of all rows."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
SHARDS, ROWS, BATCH = 32, 64, 16


@pytest.fixture(scope="module")
def measures():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
        return runpy.run_path(str(BENCHMARKS / "shuffle_quality.py"))


@pytest.mark.parametrize("window", [4, 8, 32])
def test_quality_of_a_window_is_near_that_of_a_full_permutation(measures, window):
    found = measures["quality"](SHARDS, ROWS, BATCH, window, 6)
    assert found["displacement"] == pytest.approx(1 / 3, rel=0.15)
    assert found["same_shard_pairs"] < 1.2 / window
    # A pair can meet again only if both shards fall into one window again.
    assert found["kept_together"] < 1.2 / (SHARDS * ROWS / BATCH) * SHARDS / window


def test_quality_larger_windows_mix_more_shards(measures):
    counts = [
        measures["quality"](SHARDS, ROWS, BATCH, window, 2)["shards_per_batch"] for window in (1, 4, 16)
    ]
    assert counts[0] < 2
    assert counts[0] < counts[1] < counts[2]


def test_measures_tell_no_shuffle_from_a_permutation(measures):
    stored = np.arange(SHARDS * ROWS)
    shuffled = np.random.default_rng(0).permutation(stored)
    assert measures["displacement"](stored) == 0
    assert measures["displacement"](shuffled) == pytest.approx(1 / 3, rel=0.1)
    assert measures["same_shard_pairs"](stored // ROWS, BATCH) == 1
    assert measures["same_shard_pairs"](shuffled // ROWS, BATCH) == pytest.approx(1 / SHARDS, rel=0.3)
    assert measures["kept_together"](stored, stored, BATCH) == 1
