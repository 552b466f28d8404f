"""A mask on the grid of its image."""

from collections.abc import Iterator
from contextlib import contextmanager

from unetpp.data.sources.files import FileRef
from unetpp.data.sources.raster import Raster
from unetpp.data.sources.registry import open_labels

__all__ = ["open_aligned"]


@contextmanager
def open_aligned(ref: FileRef, image: Raster) -> Iterator[Raster]:
    """Open a mask; where image and mask both say where on the Earth they lie, that decides, else their size.

    Raises:
        SampleError: the reason why the mask cannot be used.
        UnreadFileError: it is missing or refused.
    """
    with open_labels(ref) as labels:
        if not (labels.space.crs and image.space.crs):
            yield labels
            return
        from unetpp.data.sources.geo.align import on_grid_of

        yield on_grid_of(labels, image, ref.root)
