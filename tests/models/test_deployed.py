"""A network as it predicts: the same output, whatever was folded, cast or laid out for speed."""

import pytest
import torch
from torch import nn

from unetpp.models import deployed
from unetpp.models.deployed import autocast, for_inference, prediction_dtype
from unetpp.training.loop.sync_bn import CountedImages, convert_bn

CPU = torch.device("cpu")


@pytest.fixture(params=[True, False], ids=["bf16 units", "none"])
def units(request, monkeypatch) -> bool:
    monkeypatch.setattr(deployed, "_cpu_prefers_bf16", lambda: request.param)
    return request.param


def moved(model: nn.Module) -> nn.Module:
    """With running statistics and scales that are not those of the start."""
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.ndim == 1:
            tensor.data.uniform_(0.5, 1.5)
    return model.eval()


@torch.inference_mode()
def outputs(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    with autocast(model, CPU):
        return torch.stack([level.float() for level in model(images).levels])


@pytest.mark.parametrize("options", [{}, {"attention": True}, {"upsample": "deconv"}, {"spatial_dims": 3}])
@pytest.mark.parametrize("norm", ["batch", "group", "instance", "none"])
def test_network_of_float32_predicts_the_same_for_inference(tiny, norm, options):
    model = moved(tiny(norm=norm, **options))
    images = torch.randn(2, 2, *(24, 33, 17)[: options.get("spatial_dims", 2)])
    ready = for_inference(model, CPU)
    torch.testing.assert_close(outputs(ready, images), outputs(model, images), rtol=1e-3, atol=1e-4)
    assert any(isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d) for module in model.modules()) is (
        norm == "batch"
    ), "the network itself is changed"
    assert not any(isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d) for module in ready.modules())


def test_batch_norms_of_training_are_folded_alike(tiny):
    model = moved(tiny(norm="batch"))
    images = torch.randn(2, 2, 24, 17)
    expected = outputs(for_inference(model, CPU), images)
    convert_bn(model, CountedImages(), CPU, sync=False)
    assert torch.equal(outputs(for_inference(model, CPU), images), expected)


def test_network_in_training_is_evaluated_and_stays_in_training(tiny):
    model = tiny(dropout=0.5).train()
    ready = for_inference(model, CPU)
    images = torch.randn(1, 2, 16, 16)
    assert torch.equal(outputs(ready, images), outputs(ready, images))
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("norm", ["batch", "group"])
def test_wide_network_is_predicted_in_bf16_where_the_cpu_has_units(tiny, units, norm):
    model = moved(tiny(width=16, depth=2, norm=norm))
    images = torch.randn(1, 2, 24, 17)
    with torch.inference_mode():
        expected = torch.stack(model(images).levels)
    ready = for_inference(model, CPU)
    assert prediction_dtype(model, CPU) == (torch.bfloat16 if units else torch.float32)
    assert {module.weight.dtype for module in ready.modules() if isinstance(module, nn.Conv2d)} == {
        prediction_dtype(model, CPU)
    }
    found = outputs(ready, images)
    error = (found - expected).pow(2).mean().sqrt() / expected.std()
    assert error < (0.02 if units else 1e-4)


def test_narrow_network_is_predicted_in_float32(tiny, units):
    assert prediction_dtype(tiny(width=8), CPU) == torch.float32
