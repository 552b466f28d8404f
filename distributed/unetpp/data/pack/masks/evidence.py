"""What one mask file holds, before it is known what its values mean.

Distinct pixels are kept with their counts, so that any meaning can be tried on them without the file.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unetpp.data.images.header import SampleError
from unetpp.data.images.mask_facts import MaskFacts, MaskPlane
from unetpp.data.pack.masks.edges import EdgeStats, edge_stats
from unetpp.data.pack.masks.objects import ObjectStats, object_stats

__all__ = ["MaskEvidence", "combine", "gather"]

_MAX_DISTINCT = 1024
"""More than these are summarised by evenly spaced ones; a driver keeps them for every mask."""
_PACKED_CHANNELS = 8
_BLOCK_PIXELS = 2**20
"""Counting needs 8 bytes for each pixel, so large masks are counted in blocks."""


@dataclass(frozen=True, slots=True)
class MaskEvidence:
    """One mask: distinct pixels (N, C) as stored, how many there are of each (N,), and their layout."""

    facts: MaskFacts
    """The palette cut to the entries of `pixels`, in their order."""
    pixels: NDArray[Any]
    counts: NDArray[np.int64]
    is_complete: bool
    """Whether every distinct pixel is in `pixels`."""
    is_fractional: bool
    """Whether there are values that are no whole numbers, NaN among them."""
    edges: EdgeStats = field(default_factory=EdgeStats)
    objects: ObjectStats = field(default_factory=ObjectStats)
    alpha: "MaskEvidence | None" = None
    visible: frozenset[tuple[float, ...]] = frozenset()
    """Distinct pixels that are not transparent, two at most; empty without alpha."""

    @property
    def is_grey(self) -> bool:
        """Whether the mask has one value a pixel, perhaps repeated in each channel."""
        return bool((self.pixels == self.pixels[:, :1]).all())

    @property
    def values(self) -> frozenset[float]:
        """Distinct values of a grey mask."""
        return frozenset(self.pixels[:, 0].tolist())

    def seen(self, plane: MaskPlane) -> NDArray[Any]:
        """The distinct pixels of a plane as a mask of one row, 1 N C.

        Raises:
            SampleError: the mask has no such plane.
        """
        if plane == "alpha":
            if self.alpha is None:
                raise SampleError(
                    "this mask has no alpha channel, in which the other masks hold their labels"
                )
            return self.alpha.pixels[None]
        if plane == "stored":
            return self.pixels[None]
        return (self.shown_colours if self.facts.palette is not None else self.facts.shown(self.pixels))[None]

    @property
    def shown_colours(self) -> NDArray[Any]:
        """Palette colours of the distinct pixels, (N, 3)."""
        assert self.facts.palette is not None
        return self.facts.palette

    def seen_counts(self, plane: MaskPlane) -> NDArray[np.int64]:
        """How many pixels there are of each that `seen` gives, (N,)."""
        return self.alpha.counts if plane == "alpha" and self.alpha is not None else self.counts


def gather(
    mask: NDArray[Any],
    facts: MaskFacts,
    alpha: NDArray[Any] | None = None,
    *,
    valid: NDArray[np.bool_] | None = None,
) -> MaskEvidence:
    """Summarise a mask as stored, (Z) H W C, and its alpha channel, H W 1; only `valid` pixels count."""
    counted = mask.reshape(-1, *mask.shape[-2:]) if valid is None else mask[valid][None]
    pixels, counts, is_complete = _distinct(counted)
    volume, mask = mask, mask.reshape(-1, *mask.shape[-2:])
    fractional = mask.dtype.kind == "f" and not np.array_equal(mask, np.rint(mask))
    palette = None if facts.palette is None else facts.shown(pixels)
    found = MaskEvidence(replace(facts, palette=palette), pixels, counts, is_complete, fractional)
    if len(pixels) > 2:
        is_plane = found.is_grey and is_complete and not fractional
        objects = object_stats(volume[..., 0]) if is_plane else ObjectStats()
        found = replace(found, edges=edge_stats(mask[:, :, :1] if found.is_grey else mask), objects=objects)
    if alpha is None:
        return found
    opaque = mask[alpha[:, :, 0] > 0]
    visible = frozenset(map(tuple, _distinct(opaque[None])[0][:2].tolist())) if len(opaque) else frozenset()
    return replace(
        found, alpha=gather(alpha, MaskFacts(facts.container, facts.is_lossy), valid=valid), visible=visible
    )


def combine(parts: Sequence[MaskEvidence]) -> MaskEvidence:
    """Of a mask that was looked at strip by strip; its objects, which strips cut, are not known."""
    first = parts[0]
    if len(parts) == 1:
        return first
    pixels = np.concatenate([part.pixels for part in parts])
    found, counts = _unique(pixels, np.concatenate([part.counts for part in parts]))
    # A palette's colours follow their pixels.
    palette = None
    if first.facts.palette is not None:
        colours = np.concatenate([part.shown_colours for part in parts])
        _, index = np.unique(pixels, axis=0, return_index=True)
        palette = colours[index]
    alphas = [part.alpha for part in parts if part.alpha is not None]
    return replace(
        first,
        facts=replace(first.facts, palette=palette),
        pixels=found,
        counts=counts,
        is_complete=all(part.is_complete for part in parts),
        is_fractional=any(part.is_fractional for part in parts),
        edges=EdgeStats(
            pairs=sum(part.edges.pairs for part in parts),
            jumps=sum(part.edges.jumps for part in parts),
            soft=sum(part.edges.soft for part in parts),
            middles=max(part.edges.middles for part in parts),
        ),
        objects=ObjectStats(),
        alpha=combine(alphas) if alphas else None,
        visible=frozenset(sorted(frozenset().union(*(part.visible for part in parts)))[:2]),
    )


def _distinct(mask: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64], bool]:
    """Distinct pixels (N, C) of a mask, H W C, their counts, and whether these are all."""
    pixels = mask.reshape(-1, mask.shape[2])
    channels = pixels.shape[1]
    if channels > 1 and (pixels == pixels[:, :1]).all():
        grey, counts, is_complete = _distinct(mask[:, :, :1])
        return np.repeat(grey, channels, axis=1), counts, is_complete
    found, counts = pixels[:0], np.zeros(0, np.int64)
    is_complete = True
    for start in range(0, len(pixels), _BLOCK_PIXELS):
        more, more_counts = _unique(pixels[start : start + _BLOCK_PIXELS])
        found, counts = _unique(np.concatenate([found, more]), np.concatenate([counts, more_counts]))
        if len(found) > _MAX_DISTINCT:
            # Each kept pixel stands for those between it and the next.
            starts = np.linspace(0, len(found) - 1, _MAX_DISTINCT).astype(int)
            found, counts, is_complete = found[starts], np.add.reduceat(counts, starts), False
    return found, counts, is_complete


def _unique(
    pixels: NDArray[Any], counts: NDArray[np.int64] | None = None
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Distinct pixels (N, C) in ascending order and the sum of their counts, 1 each by default."""
    count, channels = pixels.shape
    if channels == 1 and pixels.dtype == np.uint8 and counts is None:
        totals = np.bincount(pixels[:, 0], minlength=256)
        values = np.flatnonzero(totals)
        return values.astype(np.uint8)[:, None], totals[values]
    keys: NDArray[Any] = pixels[:, 0] if channels == 1 else pixels
    if channels > 1 and pixels.dtype == np.uint8 and channels <= _PACKED_CHANNELS:
        # One number sorts far faster than a row of them.
        packed = np.zeros((count, _PACKED_CHANNELS), np.uint8)
        packed[:, :channels] = pixels
        keys = packed.view(">u8")[:, 0]
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True, axis=0)
    totals = np.bincount(inverse.ravel(), counts, minlength=len(first))
    return pixels[first], totals.astype(np.int64)
