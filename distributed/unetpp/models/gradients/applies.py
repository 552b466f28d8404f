"""Where the gradients of this folder take the place of torch's."""

import torch
from torch import Tensor

__all__ = ["applies"]


def applies(x: Tensor) -> bool:
    """In eager training on a CPU: traced programs keep torch's operators, other devices their own kernels."""
    return (
        x.device.type == "cpu"
        and torch.is_grad_enabled()
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
    )
