"""Which writer answers which format of image, unless one is asked for; this table is all that names one.

A writer is a module beside this one with

    SUFFIX                                               # of the mask's file
    write(segmented: Segmented, target: Storage, name)   # the mask at `name`

and, where probabilities have a form of their own,

    PROBABILITIES_SUFFIX
    write_probabilities(segmented: Segmented, target: Storage, name)

A writer of objects has NEEDS_OBJECTS = True, and may have

    FURTHER                                              # suffixes of more files beside that at `name`
    TOGETHER                                             # names of files for all images
    finish(records, target, manifest)                    # which writes these from what `write` returned

Where all is in files for all images, SUFFIX is None.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unetpp.core.errors import InputError
from unetpp.core.manifest import Manifest
from unetpp.core.storage import Storage
from unetpp.data.sources.files import FileRef
from unetpp.data.sources.geo.choose import has_place
from unetpp.data.sources.raster import Space
from unetpp.data.sources.registry import Format, format_of_ref, missing_library
from unetpp.inference.objects.find import Objects, object_classes

__all__ = [
    "Segmented",
    "finish",
    "further_suffixes",
    "is_together",
    "mask_suffix",
    "needs_objects",
    "probabilities_suffix",
    "together",
    "trained_writer",
    "write_mask",
    "write_probabilities",
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
    probabilities: NDArray[np.uint8] | None = None
    """H W K or Z H W K in steps of 1 / 255, where asked for."""
    valid: NDArray[np.bool_] | None = None
    """H W, False where the image holds no data and the mask is IGNORE; None where it does everywhere."""
    objects: Objects | None = None
    """Of a picture, where the writer needs them."""

    def found(self) -> Objects:
        """The objects.

        Raises:
            InputError: the image is a volume, or too large to be held.
        """
        if self.objects is None:
            raise InputError(
                "objects are found in pictures that fit into memory, neither in volumes nor in larger ones; "
                "name a --format of masks"
            )
        return self.objects


_DEFAULT = "png"
_NPZ = "unetpp.inference.writers.npz"
_WRITERS = {
    "coco": "unetpp.inference.writers.coco",
    "dicom-seg": "unetpp.inference.writers.dicom_seg",
    "geojson": "unetpp.inference.writers.geojson",
    "geotiff": "unetpp.inference.writers.geotiff",
    "instances": "unetpp.inference.writers.instances",
    "nifti": "unetpp.inference.writers.nifti",
    "png": "unetpp.inference.writers.png",
    "yolo": "unetpp.inference.writers.yolo",
}
"""Module by the name of the writer."""
_ANSWERS = {"DICOM": "dicom-seg", "NIfTI": "nifti"}
"""Writer by the name of the image's format; such an image is the only one that it can answer."""


def trained_writer(wanted: str | None, manifest: Manifest) -> str | None:
    """The writer that is wanted; by default of objects where the network was trained on them.

    Raises:
        InputError: objects are wanted of a network whose labels may overlap.
    """
    name = wanted or (None if manifest.instances is None else "instances")
    if name in _WRITERS and getattr(_load(name), "NEEDS_OBJECTS", False):
        object_classes(manifest)
    return name


def needs_objects(image: FileRef, wanted: str | None) -> bool:
    """Whether an image's writer writes objects."""
    return getattr(_writer(image, wanted), "NEEDS_OBJECTS", False)


def further_suffixes(image: FileRef, wanted: str | None = None) -> tuple[str, ...]:
    """Endings of the files beside an image's mask."""
    return getattr(_writer(image, wanted), "FURTHER", ())


def together(wanted: str | None) -> tuple[str, ...]:
    """Names of the files for all images."""
    return getattr(_load(wanted), "TOGETHER", ()) if wanted in _WRITERS else ()


def is_together(wanted: str | None) -> bool:
    """Whether images have no files of their own."""
    return wanted in _WRITERS and _load(wanted).SUFFIX is None


def finish(records: Sequence[Any], target: Storage, manifest: Manifest, wanted: str | None) -> None:
    """Write the files for all images from what `write_mask` returned."""
    if wanted is not None and together(wanted):
        _load(wanted).finish(records, target, manifest)


def mask_suffix(image: FileRef, wanted: str | None = None) -> str | None:
    """Ending of the mask's file for an image of this file; None if it has none of its own.

    Args:
        image: the first of the image's files.
        wanted: a writer; by default the form the image came in.

    Raises:
        InputError: there is no such writer, it cannot answer this image, or its library is missing.
    """
    suffix: str | None = _writer(image, wanted).SUFFIX
    return suffix


def write_mask(segmented: Segmented, target: Storage, name: str, wanted: str | None = None) -> Any:
    """Write a mask in the form its image came in, or in the one that is wanted; gives what `finish` takes."""
    return _writer(segmented.files[0], wanted).write(segmented, target, name)


def probabilities_suffix(image: FileRef, wanted: str | None = None) -> str:
    """Ending of the probabilities' file for an image of this file."""
    suffix: str = _probabilities_writer(image, wanted).PROBABILITIES_SUFFIX
    return suffix


def write_probabilities(segmented: Segmented, target: Storage, name: str, wanted: str | None = None) -> None:
    """Write probabilities in the form of the mask, or as NumPy arrays."""
    _probabilities_writer(segmented.files[0], wanted).write_probabilities(segmented, target, name)


def _probabilities_writer(image: FileRef, wanted: str | None) -> ModuleType:
    module = _writer(image, wanted)
    return module if hasattr(module, "write_probabilities") else import_module(_NPZ)


def _writer(image: FileRef, wanted: str | None) -> ModuleType:
    entry = format_of_ref(image)
    own = _own(image, entry)
    name = wanted or own
    if name not in _WRITERS or (name in _ANSWERS.values() and name != own):
        possible = ", ".join(sorted((_WRITERS.keys() - _ANSWERS.values()) | {own}))
        raise InputError(f"--format {name} must be one of {possible} for {image.path}")
    try:
        return import_module(_WRITERS[name])
    except ImportError as error:
        if wanted is None and entry is not None:
            raise missing_library(image.path, entry, error) from error
        raise _missing(name, error) from error


def _load(name: str) -> ModuleType:
    try:
        return import_module(_WRITERS[name])
    except ImportError as error:
        raise _missing(name, error) from error


def _missing(name: str, error: ImportError) -> InputError:
    return InputError(f"--format {name} needs {error.name}: pip install 'unetpp[formats]'")


def _own(image: FileRef, entry: Format | None) -> str:
    if entry is None:
        return _DEFAULT
    if entry.name == "TIFF":
        return "geotiff" if has_place(image) else _DEFAULT
    return _ANSWERS.get(entry.name, _DEFAULT)
