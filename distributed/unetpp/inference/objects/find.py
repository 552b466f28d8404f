"""Probabilities to objects: by a seeded watershed where the network knows borders, else by connection.

Shapes: H height, W width, K classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from unetpp.core.errors import InputError
from unetpp.core.manifest import Manifest

__all__ = ["Objects", "find_objects", "object_classes"]

_LEVELS = (0.4, 0.3, 0.2, 0.1, 0.0)
"""Probabilities of the inside at which basins are flooded, one after the other; seeds lie above one half."""


@dataclass(frozen=True)
class Objects:
    """Objects of a picture, numbered 1, 2, ... in reading order of their first pixels."""

    ids: NDArray[np.int32]
    """H W; 0 is no object."""
    classes: tuple[int, ...]
    """Index in the manifest's classes, of each object."""
    scores: tuple[float, ...]
    """Mean probability over the object's pixels that there is one."""


def find_objects(
    probabilities: NDArray[np.float32],
    manifest: Manifest,
    valid: NDArray[np.bool_] | None = None,
    threshold: float = 0.5,
) -> Objects:
    """The objects in probabilities (K, H, W).

    Args:
        probabilities: of each class.
        manifest: of the training data.
        valid: H W, False where the image holds no data and so no object; None if it does everywhere.
        threshold: probability above which a pixel of a binary task is of an object.

    Raises:
        InputError: a multilabel task, whose labels may overlap.
    """
    classes = object_classes(manifest)
    if manifest.instances is not None:
        kinds, border = probabilities[1:-1], probabilities[-1]
        covered = probabilities[0] < kinds.sum(0) + border
        covered = covered if valid is None else covered & valid
        ids = _flood(kinds.sum(0), covered)
    else:
        kinds = probabilities if manifest.task == "binary" else probabilities[1:]
        covered = kinds[0] > threshold if manifest.task == "binary" else probabilities.argmax(0) > 0
        ids = _connected(kinds, covered if valid is None else covered & valid)
    presence = 1 - probabilities[0] if manifest.task == "multiclass" else probabilities[0]
    return _described(ids, kinds, presence, classes)


def object_classes(manifest: Manifest) -> tuple[int, ...]:
    """Indices of the classes that objects can have: neither the background nor the border.

    Raises:
        InputError: a multilabel task, whose labels may overlap.
    """
    if manifest.task == "multilabel":
        raise InputError("labels of a multilabel task may overlap, so its pixels do not tell objects apart")
    if manifest.task == "binary":
        return (0,)
    return tuple(range(1, len(manifest.classes) - (manifest.instances is not None)))


def _flood(inside: NDArray[np.float32], covered: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Grow the regions of high probability into what is covered, level by level."""
    ids, count = ndimage.label(inside > 0.5)
    ids = np.where(covered, ids, 0).astype(np.int32)
    for level in _LEVELS:
        _grow(ids, covered & (inside > level))
    # What no seed reaches is an object without a certain inside.
    rest, _ = ndimage.label(covered & (ids == 0))
    return np.where(rest > 0, rest + count, ids).astype(np.int32)


def _grow(ids: NDArray[np.int32], region: NDArray[np.bool_]) -> None:
    """Give each pixel of the region the id of its nearest neighbours in it, in place."""
    neighbours = ndimage.generate_binary_structure(2, 1)
    while True:
        free = region & (ids == 0)
        if not free.any():
            return
        reached = ndimage.maximum_filter(ids, footprint=neighbours)
        free &= reached > 0
        if not free.any():
            return
        ids[free] = reached[free]


def _connected(kinds: NDArray[np.float32], covered: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Connected pixels of one class."""
    best = kinds.argmax(0)
    ids = np.zeros(covered.shape, dtype=np.int32)
    for kind in range(len(kinds)):
        found, _ = ndimage.label(covered & (best == kind))
        ids[found > 0] = found[found > 0] + ids.max()
    return ids


def _described(
    ids: NDArray[np.int32], kinds: NDArray[np.float32], presence: NDArray[np.float32], classes: Sequence[int]
) -> Objects:
    values, starts, inverse = np.unique(ids, return_index=True, return_inverse=True)
    rank = np.argsort(starts[values > 0])
    numbers = np.zeros(len(values), dtype=np.int32)
    numbers[np.flatnonzero(values > 0)[rank]] = np.arange(1, len(rank) + 1)
    ordered = numbers[inverse].reshape(ids.shape)
    index = np.arange(1, len(rank) + 1)
    if not len(index):
        return Objects(ordered, (), ())
    by_class = np.stack([ndimage.mean(kind, ordered, index) for kind in kinds])
    scores = ndimage.mean(presence, ordered, index)
    return Objects(ordered, tuple(classes[k] for k in by_class.argmax(0)), tuple(map(float, scores)))
