import itertools

import pytest
import torch
from torch import nn

from pairwise import pairwise
from unetpp.config.sections.model import MAX_DEPTH
from unetpp.core.errors import ConfigError
from unetpp.models.unetpp import UNetPlusPlus

DENSE = ("unet", "plus", "pp")
NORMS = ("none", "batch", "group", "instance")
UPSAMPLES = ("bilinear", "deconv", "pixelshuffle")
OPTIONS = (
    *({"norm": norm} for norm in NORMS),
    *({"activation": activation} for activation in ("relu", "leaky_relu", "silu", "gelu")),
    {"attention": True},
    {"deep_supervision": False},
    {"dropout": 0.2, "dilation": 2},
    {"image_classes": 2, "widths": (3, 5, 8, 4), "dilation": (1, 2, 3, 1)},
)
PAPER = {"norm": "none", "upsample": "deconv"}


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def randomise(model: UNetPlusPlus) -> UNetPlusPlus:
    """Nothing at its neutral initial value: biases, norms, running statistics."""
    for tensor in itertools.chain(model.parameters(), model.buffers()):
        if tensor.is_floating_point():
            tensor.data = torch.rand_like(tensor) * 0.4 + 0.1
    return model


@pytest.mark.parametrize(
    ("options", "published"),
    [
        ({"dense": "unet", **PAPER}, 7_759_521),
        ({"dense": "unet", "width": 35, **PAPER}, 9_282_246),
        ({"dense": "plus", "deep_supervision": False, **PAPER}, 8_728_257),
        ({"deep_supervision": False, **PAPER}, 9_041_601),
        (PAPER, 9_041_700),
        ({"in_channels": 3, "dense": "unet"}, 7_852_545),
        ({"in_channels": 3, "deep_supervision": False}, 9_163_329),
        ({"in_channels": 3}, 9_163_428),
    ],
)
def test_parameters_published_configuration_match(options, published):
    with torch.device("meta"):
        model = UNetPlusPlus(**{"in_channels": 1, "num_classes": 1, **options})
    assert count(model) == published


@pytest.mark.parametrize(("level", "published"), [(1, 101_537), (2, 511_681), (3, 2_205_537), (4, 9_042_177)])
def test_parameters_pruned_levels_match_paper(level, published):
    with torch.device("meta"):
        model = UNetPlusPlus(3, 1, norm="none", upsample="deconv")
    assert count(model.at_level(level)) == published


@pytest.mark.parametrize(
    ("dense", "upsample", "norm", "training", "spatial_dims"),
    pairwise(DENSE, UPSAMPLES, NORMS, (False, True), (2, 3)),
)
def test_at_level_every_option_equals_head_exactly(tiny, dense, upsample, norm, training, spatial_dims):
    model = tiny(
        dense=dense,
        upsample=upsample,
        norm=norm,
        dropout=0.3,
        attention=norm == "batch",
        dilation=[1, 2, 1, 2],
        spatial_dims=spatial_dims,
        image_classes=2,
    )
    randomise(model).train(training)
    # A side that is a multiple of 2 or 4 but not of 8: a pruned network on its own would pad less.
    images = torch.randn(2, 2, *(18, 12, 17)[:spatial_dims])
    pruned = [(level, model.at_level(level)) for level in model.supervised_levels]
    torch.manual_seed(1)
    full = model(images)
    for index, (level, network) in enumerate(pruned):
        torch.manual_seed(1)
        output = network(images)
        assert network.training == training
        assert network.supervised_levels == (level,)
        assert torch.equal(output.levels[0], full.levels[index])
        for name, buffer in network.named_buffers():
            assert torch.equal(buffer, model.get_buffer(name))


def test_at_level_weights_are_copies(tiny):
    model = tiny()
    pruned = model.at_level(1)
    with torch.no_grad():
        for parameter in pruned.parameters():
            parameter.zero_()
    assert all(
        parameter.abs().sum() > 0 for name, parameter in model.named_parameters() if "conv1.weight" in name
    )


def test_at_level_draws_no_random_numbers(tiny):
    model = tiny()
    before = torch.get_rng_state()
    model.at_level(2)
    assert torch.equal(torch.get_rng_state(), before)


def test_at_level_image_head_stays_at_full_depth_only(tiny):
    model = tiny(image_classes=3)
    assert model.at_level(3)(torch.randn(1, 2, 16, 16)).image.shape == (1, 3)
    assert model.at_level(2)(torch.randn(1, 2, 16, 16)).image is None


@pytest.mark.parametrize("options", [{"dense": "unet"}, {"deep_supervision": False}])
def test_at_level_without_head_raises(tiny, options):
    with pytest.raises(ConfigError, match=r"level=2 has no head; this network has \[3\]"):
        tiny(**options).at_level(2)


@pytest.mark.parametrize(
    ("size", "norm", "spatial_dims"),
    pairwise([(1, 1, 1), (1, 9, 2), (5, 3, 1), (8, 8, 8), (33, 47, 5), (16, 16, 16)], NORMS, (2, 3)),
)
def test_forward_any_size_keeps_it(tiny, size, norm, spatial_dims):
    model = tiny(norm=norm, spatial_dims=spatial_dims)
    images = torch.randn(1, 2, *size[:spatial_dims])
    levels = model(images).levels
    assert [level.shape for level in levels] == [(1, 2, *size[:spatial_dims])] * 3
    assert all(level.isfinite().all() for level in levels)


@pytest.mark.parametrize(
    ("options", "dense", "upsample", "spatial_dims"), pairwise(OPTIONS, DENSE, UPSAMPLES, (2, 3)), ids=str
)
def test_backward_every_option_reaches_every_parameter(tiny, options, dense, upsample, spatial_dims):
    model = tiny(dense=dense, upsample=upsample, spatial_dims=spatial_dims, **options)
    output = model(torch.randn(2, 2, *[16] * spatial_dims))
    loss = sum(level.square().mean() for level in output.levels)
    if output.image is not None:
        loss = loss + output.image.square().mean()
    loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


@pytest.mark.parametrize("depth", range(1, MAX_DEPTH + 1))
@pytest.mark.parametrize("dense", DENSE)
def test_forward_every_depth_has_its_levels(depth, dense):
    model = UNetPlusPlus(1, 1, depth=depth, width=1, dense=dense, norm="none")
    expected = (depth,) if dense == "unet" else tuple(range(1, depth + 1))
    assert model.supervised_levels == expected
    assert len(model(torch.randn(1, 1, 64, 64)).levels) == len(expected)
    nodes = 2 * depth + 1 if dense == "unet" else (depth + 1) * (depth + 2) // 2
    assert len(model.nodes) == nodes


def test_forward_unet_equals_the_classic_loop(tiny):
    model = randomise(tiny(dense="unet")).eval()
    images = torch.randn(2, 2, 16, 24)
    nodes, skips = model.nodes, []
    x = nodes["0_0"](images)
    for i in (1, 2, 3):
        skips.append(x)
        x = nodes[f"{i}_0"](nn.functional.max_pool2d(x, 2))
    for i in (2, 1, 0):
        up = nn.functional.interpolate(x, scale_factor=2, mode="bilinear")
        x = nodes[f"{i}_{3 - i}"].block(torch.cat([skips.pop(), up], 1))
    assert torch.equal(model(images).levels[0], model.heads["3"](x))


def test_forward_wiring_follows_the_equation():
    model = randomise(UNetPlusPlus(1, 1, depth=2, width=2, norm="none", upsample="deconv")).eval()
    images = torch.randn(1, 1, 8, 8)
    h, up = (
        lambda key, *parts: model.nodes[key].block(torch.cat(parts, 1)),
        lambda key, x: model.nodes[key].up(x),
    )
    x00 = model.nodes["0_0"](images)
    x10 = model.nodes["1_0"](model.pools[0](x00))
    x20 = model.nodes["2_0"](model.pools[1](x10))
    x01 = h("0_1", x00, up("0_1", x10))
    x11 = h("1_1", x10, up("1_1", x20))
    x02 = h("0_2", x00, x01, up("0_2", x11))
    output = model(images)
    assert torch.equal(output.levels[0], model.heads["1"](x01))
    assert torch.equal(output.levels[1], model.heads["2"](x02))


def test_forward_fixed_seed_gives_golden_logits():
    model = UNetPlusPlus(1, 1, depth=2, width=4, norm="batch").eval()
    shallow, deep = model(torch.linspace(-1, 1, 64).view(1, 1, 8, 8)).levels
    golden = torch.tensor([[-0.239718, -0.258123], [-0.011811, -0.012308]])
    got = torch.stack([shallow[0, 0, 3::3, 2], deep[0, 0, 3::3, 2]])
    torch.testing.assert_close(got, golden, atol=1e-4, rtol=0)


def test_forward_translated_by_size_multiple_shifts_the_logits():
    model = UNetPlusPlus(1, 1, depth=2, width=4, norm="none").eval()
    images = torch.zeros(1, 1, 96, 96)
    images[..., 40:48, 40:52] = torch.randn(8, 12)
    moved = model(images.roll((4, 8), (2, 3))).levels[-1]
    still = model(images).levels[-1].roll((4, 8), (2, 3))
    torch.testing.assert_close(moved[..., 32:64, 32:64], still[..., 32:64, 32:64])


def test_forward_autocast_channels_last_stays_close_to_float32(tiny):
    model = tiny(norm="batch", attention=True, upsample="pixelshuffle").to(memory_format=torch.channels_last)
    images = torch.randn(4, 2, 19, 16).to(memory_format=torch.channels_last)
    full = model(images).levels[-1]
    with torch.autocast("cpu", torch.bfloat16):
        half = model(images).levels[-1]
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), full, atol=0.2, rtol=0.1)


def test_forward_widths_and_dilation_per_level_reach_their_convolutions():
    model = UNetPlusPlus(1, 1, depth=2, widths=(3, 6, 5), dilation=(1, 2, 4))
    for i, j in ((0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (0, 2)):
        node = model.nodes[f"{i}_{j}"]
        block = node if j == 0 else node.block
        for conv in (block.conv1, block.conv2):
            assert conv.out_channels == (3, 6, 5)[i]
            assert conv.dilation == ((1, 2, 4)[i],) * 2


def test_config_rebuilds_the_same_network(tiny):
    model = tiny(attention=True, dense="plus", dilation=2, image_classes=1).at_level(2)
    again = UNetPlusPlus(**model.config)
    again.load_state_dict(model.state_dict())
    images = torch.randn(1, 2, 20, 20)
    assert torch.equal(again.eval()(images).levels[0], model.eval()(images).levels[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 0}, r"model.depth=0 must be within 1..6"),
        ({"depth": 7}, r"model.depth=7 must be within 1..6"),
        ({"widths": (1, 2)}, r"model.widths=\[1, 2\] must be 4 positive integers"),
        ({"dilation": (1, 1, 0, 1)}, r"model.dilation=\[1, 1, 0, 1\] must be 4 positive integers"),
        ({"dilation": 0}, r"model.dilation"),
    ],
)
def test_constructor_impossible_grid_raises(tiny, options, message):
    with pytest.raises(ConfigError, match=message):
        tiny(**options)


@pytest.mark.parametrize(("dense", "upsample", "spatial_dims"), pairwise(DENSE, UPSAMPLES, (2, 3)))
def test_set_dilation_is_the_network_built_with_it(tiny, dense, upsample, spatial_dims):
    options = {"dense": dense, "upsample": upsample, "spatial_dims": spatial_dims, "attention": True}
    changed = randomise(tiny(dilation=[1, 2, 1, 4], **options)).eval()
    changed.set_dilation([2, 1, 3, 2])
    built = tiny(dilation=[2, 1, 3, 2], **options).eval()
    built.load_state_dict(changed.state_dict())
    images = torch.randn(1, 2, *(18, 17, 16)[:spatial_dims])
    for expected, found in zip(built(images).levels, changed(images).levels, strict=True):
        assert torch.equal(expected, found)
    assert changed.config == built.config
    level = changed.supervised_levels[0]
    assert changed.at_level(level).dilation == (2, 1, 3, 2)[: level + 1]


def test_set_dilation_other_number_of_rows_raises(tiny):
    with pytest.raises(ConfigError, match=r"model.dilation=\[1, 2\] must be 4 positive integers"):
        tiny().set_dilation([1, 2])
