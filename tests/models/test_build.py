import pytest
import torch

from unetpp.config.sections.model import ModelConfig
from unetpp.core.errors import ConfigError
from unetpp.models import build_model

DECIDED = {"in_channels": 3, "num_classes": 4, "depth": 2, "image_classes": 0}


def test_build_model_every_field_reaches_the_network():
    options = {
        "width": 3,
        "widths": (2, 4, 6),
        "dilation": (1, 2, 1),
        "dense": "plus",
        "norm": "group",
        "activation": "gelu",
        "upsample": "pixelshuffle",
        "dropout": 0.1,
        "attention": True,
        "deep_supervision": False,
        "spatial_dims": 3,
        "pool": ((1, 2, 2), (2, 2, 2)),
        "image_classes": 5,
        "encoder": "none",
        "stem_stride": 1,
    }
    config = ModelConfig(**{**DECIDED, **options})
    assert set(ModelConfig.model_fields) == {*DECIDED, *options, "shared_dilations"}
    built = build_model(config).config
    fields = {**config.model_dump(), "size_multiple": (2, 4, 4)}
    del fields["width"]  # widths replaces it
    del fields["shared_dilations"]  # one network, set to one vector after the other
    assert built == fields


def test_build_model_default_config_has_every_level():
    output = build_model(ModelConfig(**DECIDED))(torch.randn(1, 3, 8, 8))
    assert [level.shape for level in output.levels] == [(1, 4, 8, 8)] * 2
    assert output.image is None


@pytest.mark.parametrize("field", sorted(DECIDED))
def test_build_model_undecided_field_raises(field):
    with pytest.raises(ConfigError, match=f"model.{field}=auto must be decided"):
        build_model(ModelConfig(**{**DECIDED, field: "auto"}))
