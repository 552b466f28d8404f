"""Torch's private interfaces: all that the package uses of them.

`Adam._init_group`: collects what the fused kernel updates. On a CPU that kernel copies every channels-last
    gradient to contiguous memory, which takes longer than the update itself; a view with the channels last is
    contiguous already, and elementwise arithmetic does not care.
`__wrapped__` of methods of optimisers: the first call of each imports torch's compiler, to be kept out of
    what is compiled. No optimiser is compiled here, and the import takes 1.2 s, as long as torch's own.
`torch._dynamo.utils.get_optimize_ddp_mode`: DDP asks the compiler how it is compiled, which imports it.
`DistributedDataParallel._inside_ddp_forward`: is kept out of what is compiled, as optimisers are.
"""

import contextlib
import inspect
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

__all__ = ["CHECKED_VERSION", "SGD", "Adam", "AdamW", "DataParallel"]

CHECKED_VERSION = "2.13.0"
"""The release whose source says what stands above; tests/compat fails when constraints.txt pins another."""

_UPDATED = 4
"""Parameters, gradients and both moments: the first lists that a group is collected in."""


class _Uncompiled(torch.optim.Optimizer):
    """Torch's methods without what keeps its compiler out of them."""

    add_param_group = inspect.unwrap(torch.optim.Optimizer.add_param_group)
    load_state_dict = inspect.unwrap(torch.optim.Optimizer.load_state_dict)
    state_dict = inspect.unwrap(torch.optim.Optimizer.state_dict)
    zero_grad = inspect.unwrap(torch.optim.Optimizer.zero_grad)


class SGD(_Uncompiled, torch.optim.SGD):
    """Torch's."""

    step = torch.no_grad()(inspect.unwrap(torch.optim.SGD.step))


class Adam(_Uncompiled, torch.optim.Adam):
    """Torch's, as fast in channels-last memory; its state dict is the same."""

    step = torch.no_grad()(inspect.unwrap(torch.optim.Adam.step))

    def _init_group(self, group: dict[str, Any], *lists: list[Tensor]) -> bool:
        has_complex = bool(super()._init_group(group, *lists))  # type: ignore[no-untyped-call]
        _view_as_contiguous(*lists[:_UPDATED])
        return has_complex


class AdamW(_Uncompiled, torch.optim.AdamW):
    """Torch's, as fast in channels-last memory; its state dict is the same."""

    step = torch.no_grad()(inspect.unwrap(torch.optim.AdamW.step))

    def _init_group(self, group: dict[str, Any], *lists: list[Tensor]) -> bool:
        has_complex = bool(super()._init_group(group, *lists))  # type: ignore[no-untyped-call]
        _view_as_contiguous(*lists[:_UPDATED])
        return has_complex


class DataParallel(DistributedDataParallel):
    """Torch's DDP, without the import of a compiler that compiles nothing."""

    def __init__(self, network: nn.Module, **options: Any) -> None:
        with _without_compiler():
            super().__init__(network, **options)

    _inside_ddp_forward = contextlib.contextmanager(
        inspect.unwrap(DistributedDataParallel._inside_ddp_forward)
    )


_NO_COMPILER = SimpleNamespace(utils=SimpleNamespace(get_optimize_ddp_mode=lambda: "no_optimization"))


@contextlib.contextmanager
def _without_compiler() -> Iterator[None]:
    """Inside, a compiler that was not imported answers that it compiles nothing."""
    if "torch._dynamo" in sys.modules:
        yield
        return
    vars(torch)["_dynamo"] = _NO_COMPILER
    try:
        yield
    finally:
        del vars(torch)["_dynamo"]


def _view_as_contiguous(*lists: list[Tensor]) -> None:
    """Put views in the place of tensors that are alike in channels-last memory."""
    for index, alike in enumerate(zip(*lists, strict=True)):
        if alike[0].ndim > 2 and all(tensor.movedim(1, -1).is_contiguous() for tensor in alike):
            for tensors in lists:
                tensors[index] = tensors[index].movedim(1, -1)
