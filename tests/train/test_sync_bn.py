"""One worker's synchronised batch norm is torch's batch norm, in value, gradient and running statistics."""

import copy

import pytest
import torch
from torch import nn

from unetpp.train.sync_bn import convert_sync_bn


@pytest.mark.parametrize("shape", [(4, 3, 5, 6), (2, 3, 4, 5, 6), (1, 3, 8, 8)])
def test_sync_bn_alone_equals_batch_norm(shape):
    torch.manual_seed(0)
    plain = nn.Sequential(nn.BatchNorm2d(3) if len(shape) == 4 else nn.BatchNorm3d(3))
    nn.init.normal_(plain[0].weight)
    shared = copy.deepcopy(plain)
    convert_sync_bn(shared, torch.device("cpu"))
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
    convert_sync_bn(model, torch.device("cpu"))
    x = torch.randn(2, 2, 4, 4)
    torch.testing.assert_close(model.eval()(x), expected(x))
