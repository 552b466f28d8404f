import pytest
import torch

from unetpp.models.upsample import PixelShuffle, upsample_channels, upsample_layer


@pytest.mark.parametrize("factors", [(2, 2), (2, 2, 2), (1, 2, 2)], ids=str)
@pytest.mark.parametrize("kind", ["bilinear", "deconv", "pixelshuffle"])
def test_upsample_layer_every_kind_multiplies_each_axis_by_its_factor(kind, factors):
    layer = upsample_layer(kind, 6, 4, factors)
    size = (3, 5, 2)[: len(factors)]
    channels = upsample_channels(kind, 6, 4)
    assert layer(torch.randn(2, 6, *size)).shape == (
        2,
        channels,
        *[factor * side for factor, side in zip(factors, size, strict=True)],
    )
    assert channels == (6 if kind == "bilinear" else 4)


def test_pixel_shuffle_two_dimensions_equals_torch():
    layer = PixelShuffle(3, 2, (2, 2))
    torch.nn.init.normal_(layer.conv.weight)
    x = torch.randn(2, 3, 4, 5)
    assert torch.equal(layer(x), torch.nn.functional.pixel_shuffle(layer.conv(x), 2))


def test_pixel_shuffle_three_dimensions_places_each_subpixel():
    layer = PixelShuffle(1, 1, (2, 2, 2))
    torch.nn.init.normal_(layer.conv.weight)
    x = torch.randn(1, 1, 2, 3, 4)
    subpixels, out = layer.conv(x), layer(x)
    for a, b, c in [(a, b, c) for a in (0, 1) for b in (0, 1) for c in (0, 1)]:
        assert torch.equal(out[0, 0, a::2, b::2, c::2], subpixels[0, 4 * a + 2 * b + c])


def test_pixel_shuffle_initial_weights_have_no_checkerboard():
    out = PixelShuffle(3, 2, (2, 2))(torch.randn(1, 3, 4, 4))
    assert torch.equal(out[..., ::2, ::2], out[..., 1::2, 1::2])
    assert torch.equal(out[..., ::2, ::2], out[..., ::2, 1::2])


def test_deconv_initial_weights_keep_the_variance():
    x = torch.randn(4, 256, 16, 16)
    out = upsample_layer("deconv", 256, 128, (2, 2))(x)
    assert out.var().item() == pytest.approx(1.0, rel=0.1)
