"""The network as it predicts fastest on a device, and in which precision that is."""

import copy
import functools

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from unetpp.models.cpu_speed import cpu_speed
from unetpp.models.layers import channels_last
from unetpp.models.unetpp import UNetPlusPlus

__all__ = ["autocast", "autocast_to", "for_inference", "prediction_dtype"]

_LEAST_WIDTH = 16
"""Channels of the first row. bf16 takes 1.1 times as long with 8, 0.6 with 16 (group norm, AVX-512)."""
_CAST = (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d, nn.Linear)
"""What autocast computes in bf16: cast once, and not again in each pass."""


def for_inference(
    model: UNetPlusPlus, device: torch.device, dtype: torch.dtype | None = None
) -> UNetPlusPlus:
    """A copy on the device that predicts the same but for rounding, and cannot be trained.

    In eval mode, weights channels-last and of the dtype, by default the device's best, batch norms inside
    their convolutions. It is to be called under `autocast` of that dtype.
    """
    copied = copy.deepcopy(model).eval().requires_grad_(requires_grad=False)
    for block in list(copied.modules()):
        _fold(block)
    dtype = dtype or prediction_dtype(model, device)
    for module in copied.modules():
        if isinstance(module, _CAST):
            module.to(dtype)
    last = channels_last(model.spatial_dims)
    return copied.to(device=device, memory_format=last)  # type: ignore[call-overload, no-any-return]  # missing in torch's stubs


def prediction_dtype(model: UNetPlusPlus, device: torch.device) -> torch.dtype:
    """bf16 on a GPU, and for all but narrow networks on a CPU that convolves faster in it; else float32."""
    is_wide = model.shape.widths[0] >= _LEAST_WIDTH
    bf16 = device.type == "cuda" or (device.type == "cpu" and is_wide and _cpu_prefers_bf16())
    return torch.bfloat16 if bf16 else torch.float32


def autocast(model: UNetPlusPlus, device: torch.device) -> torch.autocast:
    """The context of a prediction in the device's best precision."""
    return autocast_to(prediction_dtype(model, device), device)


def autocast_to(dtype: torch.dtype, device: torch.device) -> torch.autocast:
    """The context of a prediction in bf16 or float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=dtype == torch.bfloat16)


def _fold(block: nn.Module) -> None:
    """Put each `norm1` of a block into its `conv1`."""
    children = dict(block.named_children())
    for name, norm in children.items():
        # Batch norm of any kind, those of training among them; other norms have no fixed statistics.
        if getattr(norm, "running_mean", None) is not None:
            conv_name = name.replace("norm", "conv")
            setattr(block, conv_name, fuse_conv_bn_eval(children[conv_name], norm))  # type: ignore[type-var, arg-type]
            setattr(block, name, nn.Identity())


@functools.cache
def _cpu_prefers_bf16() -> bool:
    return cpu_speed().prefers_bf16
