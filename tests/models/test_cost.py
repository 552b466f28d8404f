import pytest

from unetpp.config.sections.model import ModelConfig
from unetpp.models.cost import count_cost, level_signatures, network_signatures

PAPER = {"num_classes": 1, "depth": 4, "image_classes": 0, "upsample": "deconv"}


@pytest.mark.parametrize(
    ("options", "gmacs"),
    [
        ({"dense": "unet"}, 12.03),
        ({"dense": "unet", "width": 35}, 14.39),
        ({"dense": "plus", "deep_supervision": False}, 23.71),
        ({"deep_supervision": False}, 29.75),
    ],
)
def test_count_cost_published_configuration_has_known_macs(options, gmacs):
    config = ModelConfig(in_channels=1, norm="none", **PAPER, **options)
    assert count_cost(config, (256, 256))[4].macs / 1e9 == pytest.approx(gmacs, abs=0.005)


def test_count_cost_every_level_prices_its_pruned_network():
    costs = count_cost(ModelConfig(in_channels=3, norm="none", **PAPER), (256, 256))
    assert [cost.params for cost in costs.values()] == [101_537, 511_681, 2_205_537, 9_042_177]
    assert [round(cost.macs / 1e9, 2) for cost in costs.values()] == [3.51, 8.92, 17.47, 29.79]
    assert list(costs) == [1, 2, 3, 4]


def test_count_cost_three_dimensions_counts_a_cube():
    config = ModelConfig(
        in_channels=1, num_classes=1, depth=1, width=1, image_classes=0, norm="none", spatial_dims=3
    )
    # x00: 1-1-1, x10: 1-2-2 at an eighth of the voxels, x01: 3-1-1, all with 27 taps; head 1-1.
    macs = 27 * (16**3 * 2 + 8**3 * 6 + 16**3 * 4) + 16**3
    assert count_cost(config, (16, 16, 16))[1].macs == macs


def test_network_signatures_of_shared_weights_are_those_of_the_networks_alone():
    vectors = ((1, 1, 1), (1, 1, 2), (1, 2, 4))
    config = ModelConfig(in_channels=1, num_classes=1, depth=2, width=2, image_classes=0, dilation=vectors[0])
    shared = config.model_copy(update={"shared_dilations": vectors})
    expected = {
        (level, vector[: level + 1]): level_signatures(
            config.model_copy(update={"dilation": vector}), (16, 16)
        )[level]
        for vector in vectors
        for level in (1, 2)
    }
    assert network_signatures(shared, (16, 16)) == expected
    assert len(set(expected.values())) == len(expected) == 5
    plain = {(level, None): text for level, text in level_signatures(config, (16, 16)).items()}
    assert network_signatures(config, (16, 16)) == plain
