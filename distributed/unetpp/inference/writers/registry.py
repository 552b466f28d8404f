"""Which writer answers which format of image; this table is all that names a writer.

A writer is a module beside this one with

    SUFFIX                                               # of the mask's file
    write(segmented: Segmented, target: Storage, name)   # the mask at `name`
"""

from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from unetpp.core.manifest import Manifest
from unetpp.core.storage import Storage
from unetpp.data.sources.files import FileRef
from unetpp.data.sources.raster import Space
from unetpp.data.sources.registry import format_of

__all__ = ["Segmented", "mask_suffix", "write_mask"]


@dataclass(frozen=True)
class Segmented:
    """A predicted image; the mask has the image's axes as its format gives them."""

    files: tuple[FileRef, ...]
    """The image's: one, or those of its channels."""
    space: Space
    mask: NDArray[np.uint8]
    """H W, or Z H W of a volume."""
    manifest: Manifest


_DEFAULT = "unetpp.inference.writers.png"
_WRITERS: dict[str, str] = {"picture": _DEFAULT, "nifti": "unetpp.inference.writers.nifti"}
"""Module by the name of the image's format."""


def mask_suffix(image: FileRef) -> str:
    """Ending of the mask's file for an image of this file."""
    suffix: str = _writer(image).SUFFIX
    return suffix


def write_mask(segmented: Segmented, target: Storage, name: str) -> None:
    """Write a mask in the form its image came in."""
    _writer(segmented.files[0]).write(segmented, target, name)


def _writer(image: FileRef) -> ModuleType:
    entry = format_of(image.path)
    return import_module(_DEFAULT if entry is None else _WRITERS.get(entry.name, _DEFAULT))
