"""Object ids as classes: the background, the inside of objects, and their border, which keeps them apart.

Border pixels lie in an object, at most a given distance (rows and columns counted alike) from another
object or from the background; the image's edge is no border. An object too thin for that has a thinner
border, so that each one keeps an inside.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from unetpp.core.errors import InputError
from unetpp.core.manifest import IGNORE
from unetpp.data.images.header import SampleError
from unetpp.data.pack.classes import ClassEntry, ClassSpec

__all__ = ["BORDER_PX", "INSIDE", "border_of", "instance_classes", "mark_borders", "whole_ids"]

BORDER_PX = 2
"""Width of the border in each object, so four pixels between two that touch."""
INSIDE = "object"
"""Class of ids that no annotation names."""
_EXACT = 2**24
"""Whole numbers below it are what they were before they became float32."""
_BACKGROUND, _BORDER = "background", "border"
_SURROUNDING = np.ones((3, 3), dtype=int)


def instance_classes(spec: ClassSpec | None, *, drawn: bool) -> ClassSpec:
    """The classes of a dataset of objects: the background, one or more kinds of objects, the border.

    Args:
        spec: the kinds of objects, with or without the background before them; None for one kind.
        drawn: whether objects have classes, as in annotations; ids of a mask image tell none.

    Raises:
        InputError: labels that overlap, several kinds of ids, or a class that has the border's name.
    """
    entries = (ClassEntry(name=INSIDE),) if spec is None else spec.classes
    if spec is not None and spec.resolved_task == "multilabel":
        raise InputError("--instances needs objects that do not overlap; leave `task: multilabel` out")
    if any(entry.name == _BORDER for entry in entries):
        raise InputError(f"--instances adds the class {_BORDER!r}; rename that of the classes file")
    if spec is None or spec.resolved_task == "binary":
        entries = (ClassEntry(name=_BACKGROUND), *entries)
    if not drawn and len(entries) > 2:
        raise InputError(
            f"ids in mask images are objects of one class, the classes file names {len(entries) - 1} beside "
            "the background; name one, or give the objects as annotations"
        )
    return ClassSpec(
        classes=(*entries, ClassEntry(name=_BORDER)),
        task="multiclass",
        ignore_index=spec.ignore_index if spec else None,
        image_labels=spec.image_labels if spec else (),
    )


def whole_ids(stored: NDArray[Any]) -> NDArray[np.int32]:
    """Ids as a mask file holds them, (Z) H W.

    Raises:
        SampleError: they are no whole numbers from 0, or of foreground and background, whose objects would
            all be one.
    """
    if stored.dtype.kind == "f" and stored.size and stored.max() >= _EXACT:
        raise SampleError(f"ids of objects in 32-bit files must be below {_EXACT}; number them from 1")
    ids = stored.astype(np.int32)
    if (ids != stored).any() or (ids < 0).any():
        raise SampleError("ids of objects must be whole numbers, 0 for no object")
    values = np.unique(ids[ids != 0])
    regions = 0
    if len(values) == 1:
        planes = ids if ids.ndim == 3 else ids[None]
        regions = max(ndimage.label(plane, _SURROUNDING)[1] for plane in planes)
    if regions > 1:
        raise SampleError(
            f"the mask has the one value {values[0]} in {regions} separate regions, which --instances takes "
            "for one object; number the objects 1, 2, 3 ..., for example by scipy.ndimage.label"
        )
    return ids


def mark_borders(values: NDArray[np.uint8], ids: NDArray[np.int32], spec: ClassSpec, width_px: int) -> None:
    """Set the border class, the last of `spec`, in mask values (Z) H W; ignored pixels stay so."""
    border = border_of(ids, width_px)
    ignored = IGNORE if spec.ignore_index is None else spec.ignore_index
    values[border & (values != ignored)] = len(spec.classes) - 1


def border_of(ids: NDArray[np.int32], width_px: int) -> NDArray[np.bool_]:
    """Border pixels of objects, H W or plane by plane of Z H W; 0 is no object."""
    if ids.ndim == 3:
        return np.stack([border_of(plane, width_px) for plane in ids])
    covered = ids != 0
    inside = np.zeros(ids.shape, dtype=np.bool_)
    without = np.unique(ids[covered])
    for width in range(width_px, -1, -1):
        inside |= np.isin(ids, without) & _is_uniform(ids, 2 * width + 1)
        without = np.setdiff1d(without, ids[inside])
        if not len(without):
            break
    border: NDArray[np.bool_] = covered & ~inside
    return border


def _is_uniform(ids: NDArray[np.int32], side_px: int) -> NDArray[np.bool_]:
    """Where all pixels of the square around one have its id."""
    lowest = ndimage.minimum_filter(ids, side_px, mode="nearest")
    highest = ndimage.maximum_filter(ids, side_px, mode="nearest")
    uniform: NDArray[np.bool_] = lowest == highest
    return uniform
