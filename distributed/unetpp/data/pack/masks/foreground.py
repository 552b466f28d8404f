"""Masks of one foreground: a brightness or a probability with a threshold, or ids of objects."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from unetpp.core.errors import InputError
from unetpp.core.manifest import IGNORE
from unetpp.data.images.header import SampleError
from unetpp.data.images.mask_facts import MaskPlane
from unetpp.data.pack.masks.survey import Survey

__all__ = ["PROBABILITY_THRESHOLD", "half_of_range", "ignored_where", "object_values", "threshold_values"]

PROBABILITY_THRESHOLD = 0.5


def threshold_values(mask: NDArray[Any], threshold: float, *, is_probability: bool) -> NDArray[np.uint8]:
    """1 where the brightest channel of a mask, H W C, is at least the threshold, else 0.

    Raises:
        SampleError: NaN, floating-point probabilities beyond 0 to 1, or channels without a meaning.
    """
    plane = _brightest(mask)
    if is_probability and plane.dtype.kind == "f" and not (plane.min() >= 0 and plane.max() <= 1):
        raise SampleError(
            f"floating-point probabilities must be 0 to 1, this mask holds {plane.min():g} to "
            f"{plane.max():g}; scale them, or use --masks-are binary --threshold X"
        )
    if is_probability and plane.dtype.kind == "u":
        threshold *= float(np.iinfo(plane.dtype).max)
    return np.asarray(plane >= threshold).astype(np.uint8)


def object_values(mask: NDArray[Any]) -> NDArray[np.uint8]:
    """1 where a mask of ids, H W C, has any, else 0.

    Raises:
        SampleError: NaN, or channels without a meaning.
    """
    _brightest(mask)
    return np.asarray((mask != 0).any(axis=2)).astype(np.uint8)


def half_of_range(survey: Survey, plane: MaskPlane) -> float:
    """Half of the way between the smallest and the largest value of the set, below which is background.

    Raises:
        InputError: a mask has a foreground that lies below, so that the masks differ in scale.
    """
    brightest = (one.seen(plane)[0].max(axis=1).tolist() for one in survey.colour.values())
    seen = survey.seen.union(*brightest)
    half = (min(seen) + max(seen)) / 2 if max(seen) > min(seen) else max(*seen, 1.0)
    for name, values in survey.values.items():
        is_exact = not survey.grey[name].facts.is_lossy
        if is_exact and len(values) == 2 and 0 in values and max(values) < half:
            raise InputError(
                f"the masks differ in scale: {name} holds 0 and {max(values):g}, others reach {max(seen):g}; "
                "say from which value on a pixel is foreground with --threshold, such as --threshold 1"
            )
    return half


def _brightest(mask: NDArray[Any]) -> NDArray[Any]:
    if mask.shape[2] not in (1, 3):
        raise SampleError(f"a mask of {mask.shape[2]} channels is no single foreground; save one channel")
    if mask.dtype.kind == "f" and np.isnan(mask).any():
        raise SampleError("the mask holds NaN; replace it by 0, or by a value that the classes file ignores")
    return np.asarray(mask.max(axis=2))


def ignored_where(mask: NDArray[Any], values: NDArray[np.uint8], index: int | None) -> NDArray[np.uint8]:
    """The values with IGNORE where all channels of the mask are the ignored index."""
    if index is None:
        return values
    return np.where((mask == index).all(axis=2), np.uint8(IGNORE), values)
