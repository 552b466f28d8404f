"""Sizes that the grid can halve `depth` times, and the way there and back."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["crop_to", "pad_to_multiple"]


def pad_to_multiple(x: Tensor, multiples: Sequence[int]) -> Tensor:
    """Repeat the last (slice,) row and column until each side is a multiple, and at least twice it.

    The bottleneck then has two pixels per axis: over a single one, batch and instance norm have no variance.
    Repeating works for every size, where mirroring needs a side longer than the padding.
    """
    sides = zip(x.shape[2:], multiples, strict=True)
    missing = [max(2, -(-side // multiple)) * multiple - side for side, multiple in sides]
    # An exported program takes every size: there the padding, possibly of 0, is part of it.
    if not torch.compiler.is_exporting() and not any(missing):
        return x
    # F.pad takes (before, after) from the last axis to the first.
    pads = [pad for extra in reversed(missing) for pad in (0, extra)]
    return F.pad(x, pads, mode="replicate")


def crop_to(x: Tensor, size: Sequence[int]) -> Tensor:
    """Undo the padding: the leading `size` of the spatial axes."""
    for axis, side in enumerate(size, start=2):
        if torch.compiler.is_exporting():
            # A view's strides differ between cropped and whole: the program would take only one of the two.
            x = x.index_select(axis, torch.arange(side, device=x.device))
        else:
            x = x.narrow(axis, 0, side)
    return x
