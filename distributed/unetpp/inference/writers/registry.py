"""Which writer answers which format of image, unless one is asked for; this table is all that names one.

A writer is a module beside this one with

    SUFFIX                                               # of the mask's file
    write(segmented: Segmented, target: Storage, name)   # the mask at `name`

and, where its format can hold them, PROBABILITIES_SUFFIX and write_probabilities(segmented, target, name).
"""

from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from unetpp.core.errors import InputError
from unetpp.core.manifest import Manifest
from unetpp.core.storage import Storage
from unetpp.data.sources.files import FileRef
from unetpp.data.sources.geo.choose import has_place
from unetpp.data.sources.raster import Space
from unetpp.data.sources.registry import format_of

__all__ = [
    "Segmented",
    "mask_suffix",
    "probabilities_suffix",
    "write_mask",
    "write_probabilities",
    "writers",
]


@dataclass(frozen=True)
class Segmented:
    """A predicted image; the mask has the image's axes as its format gives them."""

    files: tuple[FileRef, ...]
    """The image's: one, or those of its channels."""
    space: Space
    mask: NDArray[np.uint8]
    """H W, or Z H W of a volume."""
    manifest: Manifest
    valid: NDArray[np.bool_] | None = None
    """H W, False where the image holds no data; None where it does everywhere."""
    probabilities: NDArray[np.uint8] | None = None
    """K H W, see `quantised`; None unless they were asked for."""


_DEFAULT = "png"
_WRITERS = {
    "geojson": "unetpp.inference.writers.geojson",
    "geotiff": "unetpp.inference.writers.geotiff",
    "nifti": "unetpp.inference.writers.nifti",
    "png": "unetpp.inference.writers.png",
}
"""Module by the name of the writer."""
_PROBABILITIES = "unetpp.inference.writers.npz"
"""Of images whose own writer holds none."""
_ANSWERS = {"nifti": "nifti"}
"""Writer by the name of the image's format, where that alone decides."""


def writers() -> tuple[str, ...]:
    """What can be asked for, sorted."""
    return tuple(sorted(_WRITERS))


def mask_suffix(image: FileRef, wanted: str | None = None) -> str:
    """Ending of the mask's file for an image of this file.

    Args:
        image: the first of the image's files.
        wanted: a writer; by default the form the image came in.

    Raises:
        InputError: there is no such writer, or its libraries are missing.
    """
    suffix: str = _writer(image, wanted).SUFFIX
    return suffix


def write_mask(segmented: Segmented, target: Storage, name: str, wanted: str | None = None) -> None:
    """Write a mask in the form its image came in, or in the one that is wanted."""
    _writer(segmented.files[0], wanted).write(segmented, target, name)


def probabilities_suffix(image: FileRef, wanted: str | None = None) -> str:
    """Ending of the file of probabilities for an image of this file."""
    suffix: str = _probabilities_writer(image, wanted).PROBABILITIES_SUFFIX
    return suffix


def write_probabilities(segmented: Segmented, target: Storage, name: str, wanted: str | None = None) -> None:
    """Write the probabilities of each class beside a mask."""
    _probabilities_writer(segmented.files[0], wanted).write_probabilities(segmented, target, name)


def _probabilities_writer(image: FileRef, wanted: str | None) -> ModuleType:
    writer = _writer(image, wanted)
    return writer if hasattr(writer, "write_probabilities") else import_module(_PROBABILITIES)


def _writer(image: FileRef, wanted: str | None) -> ModuleType:
    name = wanted or _answer(image)
    if name not in _WRITERS:
        raise InputError(f"--format {name} must be one of {', '.join(writers())}")
    try:
        return import_module(_WRITERS[name])
    except ImportError as error:
        raise InputError(f"--format {name} needs {error.name}: pip install 'unetpp[formats]'") from error


def _answer(image: FileRef) -> str:
    entry = format_of(image.path)
    if entry is None:
        return _DEFAULT
    if entry.name == "tiff":
        return "geotiff" if has_place(image) else _DEFAULT
    return _ANSWERS.get(entry.name, _DEFAULT)
