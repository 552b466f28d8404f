"""Which writer answers which format of image; this table is all that names a writer.

A writer is a module beside this one with

    SUFFIX                                               # of the mask's file
    write(segmented: Segmented, target: Storage, name)   # the mask at `name`

and, where probabilities have a form of their own,

    PROBABILITIES_SUFFIX
    write_probabilities(segmented: Segmented, target: Storage, name)
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
from unetpp.data.sources.registry import format_of_ref, missing_library

__all__ = ["Segmented", "mask_suffix", "probabilities_suffix", "write_mask", "write_probabilities"]


@dataclass(frozen=True)
class Segmented:
    """A predicted image; the mask has the image's axes as its format gives them."""

    files: tuple[FileRef, ...]
    """The image's: one, or those of its channels."""
    space: Space
    mask: NDArray[np.uint8]
    """H W, or Z H W of a volume."""
    manifest: Manifest
    probabilities: NDArray[np.uint8] | None = None
    """H W K or Z H W K in steps of 1 / 255, where asked for."""


_DEFAULT = "unetpp.inference.writers.png"
_NPZ = "unetpp.inference.writers.npz"
_WRITERS: dict[str, str] = {
    "picture": _DEFAULT,
    "DICOM": "unetpp.inference.writers.dicom_seg",
    "NIfTI": "unetpp.inference.writers.nifti",
}
"""Module by the name of the image's format."""


def mask_suffix(image: FileRef) -> str:
    """Ending of the mask's file for an image of this file."""
    suffix: str = _writer(image).SUFFIX
    return suffix


def write_mask(segmented: Segmented, target: Storage, name: str) -> None:
    """Write a mask in the form its image came in."""
    _writer(segmented.files[0]).write(segmented, target, name)


def probabilities_suffix(image: FileRef) -> str:
    """Ending of the probabilities' file for an image of this file."""
    suffix: str = _probabilities_writer(image).PROBABILITIES_SUFFIX
    return suffix


def write_probabilities(segmented: Segmented, target: Storage, name: str) -> None:
    """Write probabilities in the form the image came in, or as NumPy arrays."""
    _probabilities_writer(segmented.files[0]).write_probabilities(segmented, target, name)


def _probabilities_writer(image: FileRef) -> ModuleType:
    module = _writer(image)
    return module if hasattr(module, "write_probabilities") else import_module(_NPZ)


def _writer(image: FileRef) -> ModuleType:
    entry = format_of_ref(image)
    if entry is None:
        return import_module(_DEFAULT)
    try:
        return import_module(_WRITERS.get(entry.name, _DEFAULT))
    except ImportError as error:
        raise missing_library(image.path, entry, error) from error
