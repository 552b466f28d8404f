"""Twofold linear interpolation whose gradient is a strided depthwise convolution, one axis after the other.

Between samples (align_corners=False) output 2k is x[k-1] / 4 + 3 x[k] / 4 and output 2k+1 is
3 x[k] / 4 + x[k+1] / 4, x being repeated beyond its ends. So x[k] has the gradient

    g[2k-1] / 4 + 3 g[2k] / 4 + 3 g[2k+1] / 4 + g[2k+2] / 4,

and the first and last x a further quarter of the first and last g.

Of few channels, as logits have, and any factor s the gradient is the product with the matrices that
interpolate each axis, which is fast in bf16: A of (size, s * size) gives A_h g A_w^T.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from unetpp.models.gradients.applies import applies
from unetpp.models.layers import channels_last

__all__ = ["enlarge_logits", "upsample_linear"]

_TAPS = (0.25, 0.75, 0.75, 0.25)


def upsample_linear(x: Tensor, factors: Sequence[int]) -> Tensor:
    """Each axis of (N, C, *size) times its factor, 1 or 2, as `F.interpolate` without align_corners."""
    apply: Any = _UpsampleLinear.apply
    if applies(x) and x.is_contiguous(memory_format=channels_last(x.ndim - 2)):
        out: Tensor = apply(x, tuple(factors))
        return out
    return _interpolate(x, factors)


def enlarge_logits(x: Tensor, factor: int) -> Tensor:
    """(N, C, H, W) -> (N, C, factor * H, factor * W), bilinear; C few."""
    if applies(x) and x.dtype == torch.bfloat16:
        apply: Any = _EnlargeLogits.apply
        out: Tensor = apply(x, factor)
        return out
    return _interpolate(x, (factor, factor))


class _EnlargeLogits(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: int) -> Tensor:
        ctx.factor = factor
        return _interpolate(x, (factor, factor))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        rows, columns = (
            _interpolation(side // ctx.factor, ctx.factor, grad.dtype) for side in grad.shape[2:]
        )
        return rows @ (grad.contiguous() @ columns.T), None


@lru_cache(maxsize=64)
def _interpolation(size: int, factor: int, dtype: torch.dtype) -> Tensor:
    """(size, factor * size): the share of each sample in each point between."""
    shares = F.interpolate(torch.eye(size)[None], scale_factor=float(factor), mode="linear")
    return shares[0].to(dtype)


class _UpsampleLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, factors: tuple[int, ...]) -> Tensor:
        ctx.factors = factors
        return _interpolate(x, factors)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        # (N, C, *size) -> (N, *size, C), which is contiguous.
        rows = grad.contiguous(memory_format=channels_last(grad.ndim - 2)).movedim(1, -1)
        for axis, factor in enumerate(ctx.factors, start=1):
            if factor == 2:
                rows = _halved(rows, axis)
        return rows.movedim(-1, 1), None


def _interpolate(x: Tensor, factors: Sequence[int]) -> Tensor:
    mode = "bilinear" if len(factors) == 2 else "trilinear"
    return F.interpolate(x, scale_factor=tuple(map(float, factors)), mode=mode, align_corners=False)


def _halved(grad: Tensor, axis: int) -> Tensor:
    """The gradient along one axis of (N, *size, C): a convolution of images (before, axis, after, C)."""
    shape = grad.shape
    channels = shape[-1]
    before, after = shape[:axis].numel(), shape[axis + 1 : -1].numel()
    images = grad.reshape(before, shape[axis], after, channels).permute(0, 3, 1, 2)
    taps = grad.new_tensor(_TAPS).view(1, 1, 4, 1).expand(channels, 1, 4, 1).contiguous()
    halved = F.conv2d(images, taps, stride=(2, 1), padding=(1, 0), groups=channels)
    halved[:, :, 0] += 0.25 * images[:, :, 0]
    halved[:, :, -1] += 0.25 * images[:, :, -1]
    return halved.permute(0, 2, 3, 1).reshape(*shape[:axis], shape[axis] // 2, *shape[axis + 1 :])
