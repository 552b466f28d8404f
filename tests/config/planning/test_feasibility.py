import pytest

from unetpp.config import RunConfig, load_config, replace
from unetpp.config.planning.feasibility import check
from unetpp.config.planning.memory import training_need, weight_count

GIB = 2**30
PLENTY = 1000 * GIB


@pytest.fixture
def decided() -> RunConfig:
    fields = (
        "model.in_channels=3 model.num_classes=1 model.image_classes=0 model.depth=3 model.width=16 "
        "data.crop=64 data.batch_size=8 train.precision=fp32"
    )
    return load_config(None, fields.split())


def needed_bytes(config: RunConfig) -> float:
    shortage = check(config, 1)
    assert shortage is not None
    return shortage.violation + 1


def test_check_enough_memory_is_feasible(decided: RunConfig) -> None:
    assert check(decided, PLENTY) is None


def test_check_needs_activations_of_the_batch_and_four_copies_of_the_weights(decided: RunConfig) -> None:
    need = training_need(decided)
    assert need.weight_bytes == 4 * 4 * weight_count(decided.model)
    expected = 8 * need.sample_bytes + need.weight_bytes
    assert check(decided, int(expected / 0.8) + 2) is None
    assert check(decided, int(expected / 0.8) - 2) is not None


def test_check_unknown_memory_sets_no_limit(decided: RunConfig) -> None:
    assert check(replace(decided, {"data.batch_size": 2**20}), None) is None


def test_check_shortage_says_what_is_needed_and_what_is_there(decided: RunConfig) -> None:
    config = replace(decided, {"data.crop": 256, "data.batch_size": 16, "model.width": 64})
    shortage = check(config, 6 * GIB)
    assert shortage is not None
    assert "GiB of activations for batch 16 at 256 px" in str(shortage)
    assert "4.8 GiB free" in shortage.reason
    assert "lower data.batch_size" in shortage.reason


def test_check_violation_grows_with_the_distance_from_feasible(decided: RunConfig) -> None:
    violations = [
        shortage.violation
        for memory_bytes in (2**24, 2**23, 2**20)
        if (shortage := check(decided, memory_bytes)) is not None
    ]
    assert len(violations) == 3
    assert 0 < violations[0] < violations[1] < violations[2]


@pytest.mark.parametrize(
    ("change", "less"),
    [
        ({"train.precision": "bf16"}, True),
        ({"scale.workers": 2}, True),
        ({"train.accumulate": 2}, True),
        ({"optim.name": "sgd"}, True),
        ({"train.ema": 0.99}, False),
        ({"data.batch_size": 16}, False),
        ({"data.crop": 128}, False),
    ],
)
def test_check_need_moves_with_what_costs_memory(decided: RunConfig, change, less: bool) -> None:
    before, after = needed_bytes(decided), needed_bytes(replace(decided, change))
    assert (after < before) is less
