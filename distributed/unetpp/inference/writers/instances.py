"""TIFF of object numbers in 16 bits, or 32 where there are more, and a CSV of the objects beside it."""

import io

import numpy as np
import tifffile

from unetpp.core.storage import Storage
from unetpp.inference.objects.table import objects_csv
from unetpp.inference.writers.registry import Segmented

__all__ = ["FURTHER", "NEEDS_OBJECTS", "SUFFIX", "write"]

NEEDS_OBJECTS = True
SUFFIX = ".tif"
FURTHER = (".csv",)


def write(segmented: Segmented, target: Storage, name: str) -> None:
    """See `registry`."""
    objects = segmented.found()
    dtype = np.uint16 if len(objects.classes) <= np.iinfo(np.uint16).max else np.uint32
    data = io.BytesIO()
    # No time of writing: the same objects give the same bytes.
    tifffile.imwrite(data, objects.ids.astype(dtype), compression="zlib", metadata=None, software=False)
    target.write(name, data.getvalue())
    target.write(
        name.removesuffix(SUFFIX) + ".csv", objects_csv(objects, segmented.manifest, segmented.space)
    )
