"""Masks whose classes have names of their own, DICOM SEG: the classes of a data set, and their values."""

import logging
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unetpp.data.images.header import SampleError
from unetpp.data.pack.classes import ClassEntry, ClassSpec
from unetpp.data.pack.discover import Pair
from unetpp.data.sources.files import UnreadFileError
from unetpp.data.sources.raster import Drawn, Raster
from unetpp.data.sources.registry import format_of_ref, open_labels

__all__ = ["segment_classes", "segment_values"]

logger = logging.getLogger(__name__)

_BACKGROUND = "background"


def segment_classes(pairs: Iterable[Pair], spec: ClassSpec | None) -> ClassSpec | None:
    """The classes file, or without one the names in all DICOM SEG masks; None where there are none.

    One name is a binary task, several are classes beside the background.
    """
    if spec is not None:
        return spec
    names: set[str] = set()
    for pair in pairs:
        entry = format_of_ref(pair.mask)
        if entry is not None and entry.name == "DICOM":
            names |= _names(pair)
    if not names:
        return None
    listed = sorted(names - {_BACKGROUND})
    binary = len(listed) == 1
    logger.info("segments become the classes %s", ", ".join(listed))
    return ClassSpec(
        task="binary" if binary else "multiclass",
        classes=tuple(ClassEntry(name=name) for name in ([] if binary else [_BACKGROUND]) + listed),
    )


def segment_values(mask: Drawn, image: Raster, spec: ClassSpec | None) -> NDArray[Any]:
    """What a mask file with these classes would hold, H W C or Z H W C.

    Raises:
        SampleError: it is of another image, or segments overlap and the task is not multilabel.
    """
    if spec is None:
        raise SampleError(
            "a DICOM SEG beside other masks needs a classes file that names its segments (--classes)"
        )
    classes = [entry.name for entry in spec.classes]
    left_out = sorted(set(mask.names) - set(classes))
    if left_out:
        _warn_once(f"segments {', '.join(left_out)} are not in the classes file and count as background")
    drawn = mask.drawn_on(image, classes)
    if spec.resolved_task == "multilabel":
        return drawn
    if (drawn.sum(axis=-1, dtype=np.uint8) > 1).any():
        raise SampleError("segments overlap; a classes file with task: multilabel keeps both (--classes)")
    first = 1 if spec.resolved_task == "binary" else 0
    values = np.arange(first, first + len(classes), dtype=np.uint8)
    return np.asarray((drawn * values).max(axis=-1, keepdims=True))


def _names(pair: Pair) -> set[str]:
    try:
        with open_labels(pair.mask) as mask:
            return set(mask.names) if isinstance(mask, Drawn) else set()
    except (SampleError, UnreadFileError):
        # Refused with its reason once the pair is read.
        return set()


@lru_cache(maxsize=64)
def _warn_once(text: str) -> None:
    logger.warning("%s", text)
