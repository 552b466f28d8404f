"""PNG of class indices, whose palette shows them in the class colours."""

from unetpp.core.storage import Storage
from unetpp.inference.colours import indexed_png
from unetpp.inference.writers.registry import Segmented

__all__ = ["SUFFIX", "write"]

SUFFIX = ".png"


def write(segmented: Segmented, target: Storage, name: str) -> None:
    """See `registry`; the mask is H W."""
    target.write(name, indexed_png(segmented.mask, segmented.manifest))
