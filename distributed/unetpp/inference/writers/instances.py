"""TIFF of object numbers in 16 bits, or 32 where there are more, and a CSV of the objects beside it."""

import io

import numpy as np
import tifffile

from unetpp.core.storage import Storage
from unetpp.inference.objects.table import objects_csv
from unetpp.inference.writers.registry import Segmented

__all__ = ["NEEDS_OBJECTS", "SUFFIXES", "write"]

NEEDS_OBJECTS = True
SUFFIXES = (".tif", ".csv")


def write(segmented: Segmented, target: Storage, stem: str) -> None:
    """See `registry`."""
    objects = segmented.found()
    dtype = np.uint16 if len(objects.classes) <= np.iinfo(np.uint16).max else np.uint32
    data = io.BytesIO()
    # No time of writing: the same objects give the same bytes.
    tifffile.imwrite(data, objects.ids.astype(dtype), compression="zlib", metadata=None, software=False)
    target.write(f"{stem}.tif", data.getvalue())
    target.write(f"{stem}.csv", objects_csv(objects, segmented.manifest, segmented.space))
