from collections.abc import Callable

import pytest

from unetpp.config import Hardware, RunConfig, load_config, resolve
from unetpp.core.manifest import Manifest, SplitInfo

Make = Callable[..., Manifest]


@pytest.fixture
def planned(make_manifest: Make, laptop: Hardware) -> Callable[..., int]:
    """Epochs between validations for a dataset of 200 training images."""

    def plan(size: str, val: int, *overrides: str, sweep: bool = False) -> int:
        manifest = make_manifest({size: 200 + val}).model_copy(
            update={
                "splits": {"train": SplitInfo(rows=200, shards=()), "val": SplitInfo(rows=val, shards=())}
            }
        )
        config: RunConfig = resolve(load_config(None, overrides), manifest, laptop, sweep=sweep)[0]
        return int(config.train.validate_every)

    return plan


@pytest.mark.parametrize(
    ("size", "val", "crop", "every"),
    [
        ("128x128", 40, 128, 1),  # 40 images against 200 steps of three passes: 7 %
        ("128x128", 60, 128, 1),  # exactly a tenth
        ("128x128", 61, 128, 2),
        ("512x512", 50, 128, 14),  # 50 images of 16 crops against 200 of three: 133 %
        ("480x360", 40, 256, 2),  # 6.9 against 39 megapixels: 18 %
        ("1024x512", 20, 128, 16),  # three windows of 512 px a picture, with their overlap
    ],
)
def test_validations_take_a_tenth_of_the_training_at_most(planned, size, val, crop, every):
    assert planned(size, val, f"data.crop={crop}", "model.depth=3") == every


@pytest.mark.parametrize(("size", "val"), [("128x128", 0), ("16x16", 200)])
def test_small_or_no_validation_splits_are_scored_every_epoch(planned, size, val):
    assert planned(size, val, "data.crop=16", "model.depth=1") == 1


def test_every_vector_of_dilations_is_scored(planned):
    shared = ["model.depth=1", "model.shared_dilations=[[1,1],[1,2],[1,4],[2,2]]"]
    assert planned("128x128", 40, "data.crop=128", *shared) == 3


def test_a_number_that_was_given_stays(planned):
    assert planned("512x512", 50, "data.crop=128", "train.validate_every=1") == 1


@pytest.mark.parametrize(("grace", "scheduler", "every"), [(1, "asha", 1), (6, "asha", 6), (3, "none", 14)])
def test_a_sweep_has_a_score_where_its_rule_asks_for_one(planned, grace, scheduler, every):
    tune = [f"tune.grace_epochs={grace}", f"tune.scheduler={scheduler}"]
    assert planned("512x512", 50, "data.crop=128", "model.depth=3", *tune, sweep=True) == every


def test_a_run_of_minutes_leaves_it_to_its_clock(planned):
    assert planned("512x512", 50, "data.crop=128", "model.depth=3", "train.minutes=5") == 1
