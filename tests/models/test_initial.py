"""What an encoder sees is what it saw in its pretraining, whatever the dataset's dtype and channels."""

import pytest
import torch

from unetpp.config.sections.model import ModelConfig
from unetpp.core.manifest import ChannelStats
from unetpp.models import build_model
from unetpp.models.encoders.efficientnet_lite import EfficientNetLite
from unetpp.models.encoders.lite_weights import published_weights
from unetpp.models.initial import initial_weights
from unetpp.models.normalise import Normalise
from untrained_run import write_splits

STATS = [ChannelStats(mean=40 + 30 * k, std=20 + 7 * k, p01=0, p50=60, p99=230) for k in range(5)]


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return write_splits(tmp_path_factory.mktemp("data"), "binary", [(24, 24)], None)


@pytest.fixture
def features(manifest):
    """Of raw images, as a run with the encoder computes them."""

    def compute(raw, dtype="uint8", stats=None, **options):
        channels = raw.shape[1]
        described = manifest.model_copy(
            update={
                "channels": channels,
                "channel_stats": tuple(stats or STATS[:channels]),
                "dtype": dtype,
            }
        )
        config = ModelConfig(
            **{"depth": 5, "width": 2, "encoder": "lite0"} | options,
            in_channels=channels,
            num_classes=1,
            image_classes=0,
        )
        model = build_model(config)
        rest = model.load_state_dict(initial_weights(config, described, "").weights, strict=False)
        assert not rest.unexpected_keys
        assert not any(name.startswith("encoder.") for name in rest.missing_keys)
        with torch.inference_mode():
            return model.encoder(Normalise(described.channel_stats)(raw))

    return compute


@pytest.fixture(scope="module")
def published():
    encoder = EfficientNetLite(3, "lite0", rows=5)
    encoder.load_state_dict(published_weights("lite0"), strict=False)
    return encoder


def close(found, expected):
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4 * float(theirs.abs().max()))


def colours():
    return torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8)


def test_colour_bytes_enter_in_the_published_scale(features, published):
    raw = colours()
    close(features(raw), published((raw.float() - 127) / 128))


def test_constant_channel_enters_in_the_published_scale(features, published):
    raw = colours()
    raw[:, 1] = 70
    stats = [STATS[0], ChannelStats(mean=70, std=0, p01=70, p50=70, p99=70), STATS[2]]
    close(features(raw, stats=stats), published((raw.float() - 127) / 128))


def test_grey_bytes_answer_as_equal_colours(features, published):
    grey = colours()[:, :1]
    close(features(grey), published((grey.expand(-1, 3, -1, -1).float() - 127) / 128))


@pytest.mark.slow
@pytest.mark.parametrize("channels", [2, 4, 5])
def test_equal_channels_answer_alike_for_any_number_with_whole_turns(features, channels):
    stats = [STATS[0]] * 6
    grey = colours()[:, :1]
    six = features(grey.expand(-1, 6, -1, -1), stats=stats)
    close(six, features(grey, stats=stats[:1]))
    some = features(grey.expand(-1, channels, -1, -1), stats=stats[:channels])
    assert all(x.isfinite().all() for x in some)


@pytest.mark.parametrize(("dtype", "unit"), [("uint16", 257.0), ("float32", 1e-4)])
def test_other_units_enter_with_the_spread_of_photographs(features, published, dtype, unit):
    normal = torch.randn(1, 3, 64, 64)
    means, stds = (torch.tensor([getattr(s, name) for s in STATS[:3]]) for name in ("mean", "std"))
    raw = (normal * stds.view(1, 3, 1, 1) + means.view(1, 3, 1, 1)) * unit
    stats = [s.model_copy(update={"mean": s.mean * unit, "std": s.std * unit}) for s in STATS[:3]]
    close(features(raw, dtype=dtype, stats=stats), published(normal * 0.45 - 0.098))


@pytest.mark.slow
@pytest.mark.parametrize(("stride", "depth"), [(1, 2), (2, 2), (4, 3)])
def test_rows_that_the_grid_does_not_reach_are_left_out(features, published, stride, depth):
    raw = colours()
    found = features(raw, stem_stride=stride, depth=depth)
    assert len(found) == depth + {1: 0, 2: 1, 4: 2}[stride]
    close(found, published((raw.float() - 127) / 128)[: len(found)])


def test_no_encoder_has_no_weights(manifest):
    config = ModelConfig(in_channels=3, num_classes=1, depth=2, image_classes=0)
    assert initial_weights(config, manifest, "").weights == {}
