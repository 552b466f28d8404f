"""PNG of class indices, whose palette shows them in the class colours."""

from unetpp.core.storage import Storage
from unetpp.inference.colours import indexed_png
from unetpp.inference.writers.registry import Segmented

__all__ = ["SUFFIXES", "write"]

SUFFIXES = (".png",)


def write(segmented: Segmented, target: Storage, stem: str) -> None:
    """See `registry`; the mask is H W."""
    target.write(f"{stem}.png", indexed_png(segmented.mask, segmented.manifest))
