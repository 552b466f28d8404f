"""Small objects of a mask that is too large to be held: found band by band of rows, joined where bands meet.

The result is that of `Decision.apply` of the whole image.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from unetpp.core.manifest import Manifest
from unetpp.inference.objects.regions import is_background

__all__ = ["remove_small"]

_BAND_PX = 2**22


def remove_small(
    mask: NDArray[np.uint8],
    next_best: NDArray[np.uint8] | None,
    small: NDArray[np.uint8],
    manifest: Manifest,
    least_px: int,
    *,
    band_px: int | None = None,
) -> None:
    """Take connected pixels of a class that are fewer out of a mask, in place.

    Args:
        mask: H W as it was predicted, without marks of pixels that hold no data.
        next_best: H W, the most probable class of each pixel but its own; None unless classes exclude each
            other.
        small: H W of zeros, in memory or in a file; used for what is found.
        manifest: of the training data.
        least_px: pixels that an object must have.
        band_px: pixels that are held at a time, 4 megapixels unless given.
    """
    rows = max(1, (band_px or _BAND_PX) // mask.shape[1])
    is_multilabel = manifest.task == "multilabel"
    for k in range(manifest.num_classes):
        if is_background(manifest, k):
            continue
        bit = np.uint8(1 << k if is_multilabel else 1)
        for band, ids, is_small in _small_objects(mask, rows, _region_of(manifest, k), least_px):
            small[band] |= np.where(is_small[ids], bit, np.uint8(0))
    for band in _bands(len(mask), rows):
        if is_multilabel:
            mask[band] &= ~small[band]
        else:
            left = 0 if next_best is None else next_best[band]
            mask[band] = np.where(small[band] > 0, left, mask[band])


def _region_of(manifest: Manifest, k: int) -> Callable[[NDArray[np.uint8]], NDArray[np.bool_]]:
    """Where a part of a mask has the class."""
    if manifest.task == "multilabel":
        return lambda part: part >> k & 1 == 1
    value = 1 if manifest.task == "binary" else k
    return lambda part: part == value


@dataclass
class _Joined:
    """Objects of bands, numbered from 1 over all bands, and which of them touch."""

    sizes: list[NDArray[np.int64]]
    starts: list[int]
    """Objects of earlier bands, by band."""
    pairs: list[NDArray[np.int64]]
    """(2, touching) numbers."""


def _small_objects(
    mask: NDArray[np.uint8],
    rows: int,
    region: Callable[[NDArray[np.uint8]], NDArray[np.bool_]],
    least_px: int,
) -> Iterator[tuple[slice, NDArray[np.int32], NDArray[np.bool_]]]:
    """Bands with their objects' ids, and by id whether the whole object is small; 0 is no object."""
    found = _Joined([], [], [])
    total, above = 0, np.zeros(mask.shape[1], np.int64)
    for band in _bands(len(mask), rows):
        ids, count = ndimage.label(region(mask[band]))
        found.sizes.append(np.bincount(ids.ravel(), minlength=count + 1)[1:])
        found.starts.append(total)
        first = np.where(ids[0] > 0, ids[0].astype(np.int64) + total, 0)
        touch = (first > 0) & (above > 0)
        found.pairs.append(np.unique(np.stack([above[touch], first[touch]]), axis=1))
        above = np.where(ids[-1] > 0, ids[-1].astype(np.int64) + total, 0)
        total += count
    if not total:
        return
    is_small = _sizes_of_wholes(found, total) < least_px
    for band, start in zip(_bands(len(mask), rows), found.starts, strict=True):
        ids, count = ndimage.label(region(mask[band]))
        yield band, ids, np.concatenate([[False], is_small[start : start + count]])


def _sizes_of_wholes(found: _Joined, total: int) -> NDArray[np.int64]:
    """Pixels of the whole that each object of a band is a part of, (total,)."""
    upper, lower = np.concatenate(found.pairs, axis=1) - 1
    touching = coo_array((np.ones(len(upper), np.bool_), (upper, lower)), shape=(total, total))
    count, whole = connected_components(touching, directed=False)
    sizes = np.zeros(count, np.int64)
    np.add.at(sizes, whole, np.concatenate(found.sizes))
    joined: NDArray[np.int64] = sizes[whole]
    return joined


def _bands(height: int, rows: int) -> Iterator[slice]:
    return (slice(top, min(top + rows, height)) for top in range(0, height, rows))
