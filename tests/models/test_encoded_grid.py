"""The grid on an encoder's features, and with its first row at a stride."""

import pytest
import torch

from pairwise import pairwise
from unetpp.config.encoders import deepest_encoded
from unetpp.config.sections.model import ModelConfig
from unetpp.core.errors import ConfigError
from unetpp.models.cost import count_cost, level_signatures
from unetpp.models.unetpp import UNetPlusPlus

STRIDES = (1, 2, 4)
DENSE = ("unet", "plus", "pp")
UPSAMPLES = ("bilinear", "deconv", "pixelshuffle")


def grid(encoder="lite0", stride=2, depth=None, **options) -> UNetPlusPlus:
    depth = deepest_encoded(stride) if depth is None else depth
    arguments = {"in_channels": 2, "num_classes": 2, "width": 2, "depth": depth}
    return UNetPlusPlus(**arguments | options, encoder=encoder, stem_stride=stride)


@pytest.mark.parametrize(
    ("encoder", "stride", "dense", "upsample", "training"),
    pairwise(("none", "lite0"), STRIDES, DENSE, UPSAMPLES, (False, True)),
)
def test_at_level_equals_head_exactly(encoder, stride, dense, upsample, training):
    depth = 3
    model = grid(
        encoder,
        stride,
        depth,
        dense=dense,
        upsample=upsample,
        dropout=0.3,
        attention=stride == 2,
        image_classes=2,
        dilation=[1, 2, 1, 2],
    ).train(training)
    images = torch.randn(2, 2, 37, 50)
    torch.manual_seed(1)
    full = model(images)
    assert full.image.shape == (2, 2)
    for level, expected in zip(model.supervised_levels, full.levels, strict=True):
        pruned = model.at_level(level)
        torch.manual_seed(1)
        assert torch.equal(pruned(images).levels[0], expected)
        assert expected.shape == (2, 2, 37, 50)


@pytest.mark.parametrize(("encoder", "stride"), [(e, s) for e in ("none", "lite0") for s in STRIDES])
def test_backward_reaches_every_parameter_at_every_depth(encoder, stride):
    for depth in range(1, deepest_encoded(stride) + 1):
        model = grid(encoder, stride, depth)
        sum(level.square().mean() for level in model(torch.randn(1, 2, 32, 32)).levels).backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("stride", STRIDES)
def test_nodes_of_the_first_column_are_the_encoder_s_features(stride):
    """Level 1 sees rows 0 and 1 of the grid and nothing else."""
    model = grid("lite0", stride, norm="none").eval()
    images = torch.randn(1, 2, 64, 64)
    features = model.encoder(images)
    first = stride.bit_length() - 1
    top = model.nodes["0_0"](images) if stride == 1 else features[first - 1]
    expected = model.heads["1"](model.nodes["0_1"]([top], features[first]))
    if stride > 1:
        expected = torch.nn.functional.interpolate(expected, scale_factor=stride, mode="bilinear")
    assert torch.equal(model(images).levels[0], expected)


def test_pruned_level_has_no_deeper_rows_of_the_encoder():
    model = grid("lite0", 2)
    rows = [len(model.at_level(level).encoder.rows) for level in model.supervised_levels]
    assert rows == [2, 3, 4, 5]
    assert [sorted(model.at_level(1).nodes), sorted(model.nodes)[:1]] == [["0_1"], ["0_1"]]


def test_stem_without_encoder_loses_no_pixel():
    model = grid("none", 4, depth=1)
    images = torch.randn(1, 2, 16, 16, requires_grad=True)
    model(images).levels[0].square().sum().backward()
    assert (images.grad.abs().sum(1) > 0).all()


def test_config_rebuilds_the_same_network():
    model = grid("lite0", 2).at_level(3)
    again = UNetPlusPlus(**model.config)
    again.load_state_dict(model.state_dict())
    images = torch.randn(1, 2, 40, 40)
    assert torch.equal(again.eval()(images).levels[0], model.eval()(images).levels[0])


@pytest.mark.slow
def test_cost_and_signatures_tell_encoders_and_strides_apart():
    common = {"in_channels": 3, "num_classes": 1, "width": 4, "image_classes": 0}
    configs = [
        ModelConfig(**common, depth=depth, encoder=encoder, stem_stride=stride)
        for encoder, stride, depth in (
            ("none", 1, 3),
            ("lite0", 1, 3),
            ("none", 2, 3),
            ("lite0", 2, 3),
            ("lite2", 2, 3),
        )
    ]
    signatures = {level_signatures(config, (128, 128))[3] for config in configs}
    assert len(signatures) == len(configs)
    deeper = configs[3].model_copy(update={"depth": 4})
    assert count_cost(deeper, (128, 128))[3] == count_cost(configs[3], (128, 128))[3]
    assert level_signatures(deeper, (128, 128))[3] == level_signatures(configs[3], (128, 128))[3]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encoder": "resnet18"}, r"model.encoder=resnet18 must be none or one of lite0, lite1, lite2"),
        ({"depth": 5}, r"model.encoder=lite0 halves pictures 5 times"),
        ({"stride": 3, "depth": 1}, r"model.stem_stride=3 must be 1, 2 or 4"),
        ({"spatial_dims": 3}, r"model.stem_stride=2 must be 1, 2 or 4 for pictures and 1 for volumes"),
        ({"spatial_dims": 3, "stride": 1}, r"model.encoder=lite0 halves pictures"),
        ({"depth": 1, "pool": [[1, 2]]}, r"model.encoder=lite0 halves pictures"),
    ],
)
def test_constructor_impossible_encoder_raises(options, message):
    with pytest.raises(ConfigError, match=message):
        grid(**options)
