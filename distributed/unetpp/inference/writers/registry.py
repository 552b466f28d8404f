"""Which writer answers which format of image, unless one is asked for; this table is all that names one.

A writer is a module beside this one with

    SUFFIX                                               # of the mask's file
    write(segmented: Segmented, target: Storage, name)   # the mask at `name`

and, where its format can hold them, PROBABILITIES_SUFFIX and write_probabilities(segmented, target, name).

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
from unetpp.data.sources.registry import format_of
from unetpp.inference.objects.find import Objects, object_classes

__all__ = [
    "Segmented",
    "finish",
    "further_suffixes",
    "mask_suffix",
    "needs_objects",
    "probabilities_suffix",
    "together",
    "trained_writer",
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
_WRITERS = {
    "coco": "unetpp.inference.writers.coco",
    "geojson": "unetpp.inference.writers.geojson",
    "geotiff": "unetpp.inference.writers.geotiff",
    "instances": "unetpp.inference.writers.instances",
    "nifti": "unetpp.inference.writers.nifti",
    "png": "unetpp.inference.writers.png",
    "yolo": "unetpp.inference.writers.yolo",
}
"""Module by the name of the writer."""
_PROBABILITIES = "unetpp.inference.writers.npz"
"""Of images whose own writer holds none."""
_ANSWERS = {"nifti": "nifti"}
"""Writer by the name of the image's format, where that alone decides."""


def writers() -> tuple[str, ...]:
    """What can be asked for, sorted."""
    return tuple(sorted(_WRITERS))


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
        InputError: there is no such writer, or its libraries are missing.
    """
    suffix: str | None = _writer(image, wanted).SUFFIX
    return suffix


def write_mask(segmented: Segmented, target: Storage, name: str, wanted: str | None = None) -> Any:
    """Write a mask in the form its image came in, or in the one that is wanted; gives what `finish` takes."""
    return _writer(segmented.files[0], wanted).write(segmented, target, name)


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
    return _load(wanted or _answer(image))


def _load(name: str) -> ModuleType:
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
