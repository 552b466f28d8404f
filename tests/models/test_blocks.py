import pytest
import torch

from unetpp.models.blocks import AttentionGate, BlockOptions, ConvBlock
from unetpp.models.layers import norm_layer

PLAIN = BlockOptions("none", "relu", "bilinear", 0.0, False, 2)


@pytest.mark.parametrize("dilation", [1, 2, 5])
def test_conv_block_dilated_sees_four_dilations_each_way(dilation):
    block = ConvBlock(1, 3, dilation, PLAIN)
    for conv in (block.conv1, block.conv2):
        torch.nn.init.ones_(conv.weight)
    impulse = torch.zeros(1, 1, 31, 31)
    impulse[..., 15, 15] = 1
    seen = block(impulse)[0, 0].nonzero()
    assert seen.min().item() == 15 - 2 * dilation
    assert seen.max().item() == 15 + 2 * dilation


def test_conv_block_initial_weights_keep_the_scale():
    block = ConvBlock(64, 128, 1, PLAIN)
    out = block(torch.relu(torch.randn(2, 64, 32, 32)) * 2**0.5)
    # He's condition: the mean square of a rectified layer's input stays 1 (the border loses a little).
    assert out.square().mean().item() == pytest.approx(1.0, rel=0.2)


def test_attention_gate_closed_removes_the_skip_and_open_keeps_it():
    gate = AttentionGate(4, 6, 2, 2)
    skip, signal = torch.randn(2, 4, 5, 5), torch.randn(2, 6, 5, 5)
    torch.nn.init.constant_(gate.score.bias, -1e4)
    assert torch.equal(gate(skip, signal), torch.zeros_like(skip))
    torch.nn.init.constant_(gate.score.bias, 1e4)
    assert torch.equal(gate(skip, signal), skip)


@pytest.mark.parametrize(("channels", "groups"), [(32, 8), (12, 4), (6, 2), (35, 1), (1, 1)])
def test_group_norm_any_width_takes_a_divisor_of_eight(channels, groups):
    assert norm_layer("group", channels, 2).num_groups == groups
