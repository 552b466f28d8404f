"""One worker's synchronised batch norm is torch's batch norm, in value, gradient and running statistics."""

import copy

import pytest
import torch
from torch import nn

from unetpp.training.loop.sync_bn import CountedImages, convert_bn

CPU = torch.device("cpu")


@pytest.mark.parametrize("shape", [(4, 3, 5, 6), (2, 3, 4, 5, 6), (1, 3, 8, 8)])
def test_sync_bn_alone_equals_batch_norm(shape):
    torch.manual_seed(0)
    plain = nn.Sequential(nn.BatchNorm2d(3) if len(shape) == 4 else nn.BatchNorm3d(3))
    nn.init.normal_(plain[0].weight)
    shared = copy.deepcopy(plain)
    convert_bn(shared, CountedImages(), CPU, sync=True)
    x = torch.randn(shape) * 3 + 10
    inputs = [x.clone().requires_grad_() for _ in range(2)]
    outputs = [model(value) for model, value in zip((plain, shared), inputs, strict=True)]
    upstream = torch.randn(shape)
    for output in outputs:
        (output * upstream).sum().backward()
    torch.testing.assert_close(outputs[1], outputs[0], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(inputs[1].grad, inputs[0].grad, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(shared[0].weight.grad, plain[0].weight.grad, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(shared[0].bias.grad, plain[0].bias.grad, rtol=1e-4, atol=1e-3)
    assert shared.state_dict().keys() == plain.state_dict().keys()
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(shared.state_dict()[name], value, rtol=1e-4, atol=1e-4)


def test_sync_bn_in_eval_mode_uses_the_running_statistics():
    model = nn.Sequential(nn.BatchNorm2d(2))
    model[0].running_mean.fill_(3)
    expected = copy.deepcopy(model).eval()
    convert_bn(model, CountedImages(), CPU, sync=True)
    x = torch.randn(2, 2, 4, 4)
    torch.testing.assert_close(model.eval()(x), expected(x))


@pytest.mark.parametrize(("device", "sync"), [("cpu", True), ("cpu", False), ("cuda", True)])
@pytest.mark.parametrize("weights", [[1, 1, 0], [1, 0, 0]])
def test_bn_with_images_of_weight_0_equals_bn_without_them(device, sync, weights):
    # The layers for GPUs are torch's where all images count; what they do here needs no GPU.
    torch.manual_seed(0)
    plain = nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4)
    )
    weighted, counted = copy.deepcopy(plain), CountedImages()
    convert_bn(weighted, counted, torch.device(device), sync=sync)
    weight = torch.tensor(weights, dtype=torch.float32)
    x = torch.randn(3, 2, 9, 9)
    with counted.of(weight, uneven=True):
        output = weighted(x)
    (output.square().mean((1, 2, 3)) * weight).sum().backward()
    expected = plain(x[weight > 0])
    expected.square().mean((1, 2, 3)).sum().backward()
    torch.testing.assert_close(output[weight > 0], expected, rtol=1e-4, atol=1e-5)
    for found, wanted in zip(weighted.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(found.grad, wanted.grad, rtol=1e-3, atol=1e-5)
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(weighted.state_dict()[name], value, rtol=1e-4, atol=1e-5)


def test_bn_of_a_worker_without_an_image_that_counts_stays_finite():
    model, counted = nn.Sequential(nn.BatchNorm2d(2)), CountedImages()
    convert_bn(model, counted, CPU, sync=False)
    with counted.of(torch.zeros(1), uneven=True):
        output = model(torch.randn(1, 2, 4, 4) * 1e6)
    assert output.abs().max() < 10


def test_bn_in_bf16_is_near_float32():
    torch.manual_seed(0)
    model, counted = nn.Sequential(nn.BatchNorm2d(3)), CountedImages()
    convert_bn(model, counted, CPU, sync=True)
    x = torch.randn(4, 3, 8, 8) + 2
    half = x.bfloat16().requires_grad_()
    output = model(half)
    (output * x).sum().backward()
    assert half.grad.dtype == torch.bfloat16
    torch.testing.assert_close(output.float(), nn.BatchNorm2d(3)(x), rtol=2e-2, atol=2e-2)
