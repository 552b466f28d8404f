"""Torch's private interfaces: all that the package uses of them.

`Adam._init_group`: collects what the fused kernel updates. On a CPU that kernel copies every channels-last
    gradient to contiguous memory, which takes longer than the update itself; a view with the channels last is
    contiguous already, and elementwise arithmetic does not care.
"""

from typing import Any

import torch
from torch import Tensor

__all__ = ["CHECKED_VERSION", "Adam", "AdamW"]

CHECKED_VERSION = "2.13.0"
"""The release whose source says what stands above; tests/compat fails when constraints.txt pins another."""

_UPDATED = 4
"""Parameters, gradients and both moments: the first lists that a group is collected in."""


class Adam(torch.optim.Adam):
    """Torch's, as fast in channels-last memory; its state dict is the same."""

    def _init_group(self, group: dict[str, Any], *lists: list[Tensor]) -> bool:
        has_complex = bool(super()._init_group(group, *lists))  # type: ignore[no-untyped-call]
        _view_as_contiguous(*lists[:_UPDATED])
        return has_complex


class AdamW(torch.optim.AdamW):
    """Torch's, as fast in channels-last memory; its state dict is the same."""

    def _init_group(self, group: dict[str, Any], *lists: list[Tensor]) -> bool:
        has_complex = bool(super()._init_group(group, *lists))  # type: ignore[no-untyped-call]
        _view_as_contiguous(*lists[:_UPDATED])
        return has_complex


def _view_as_contiguous(*lists: list[Tensor]) -> None:
    """Put views in the place of tensors that are alike in channels-last memory."""
    for index, alike in enumerate(zip(*lists, strict=True)):
        if alike[0].ndim > 2 and all(tensor.movedim(1, -1).is_contiguous() for tensor in alike):
            for tensors in lists:
                tensors[index] = tensors[index].movedim(1, -1)
