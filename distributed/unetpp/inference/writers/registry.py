"""Which writer answers which format of image; this table is all that names a writer.

A writer is a module beside this one with

    SUFFIXES                                   # of an image's files; none where one file is for all
    write(segmented, target, stem) -> record   # the files at `stem` and those endings

and where there are files for all images together

    TOGETHER                                   # their names
    finish(records, target, manifest)          # what `write` returned, image by image

A writer of objects says so by NEEDS_OBJECTS = True.
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
from unetpp.data.sources.raster import Space
from unetpp.data.sources.registry import format_of, stem_of
from unetpp.inference.objects.find import Objects, object_classes

__all__ = ["FORMATS", "Segmented", "Writers"]


@dataclass(frozen=True)
class Segmented:
    """A predicted image; the mask has the image's axes as its format gives them."""

    source: FileRef
    space: Space
    mask: NDArray[np.uint8]
    """H W, or Z H W of a volume."""
    objects: Objects | None
    """Of a picture, where the writer needs them."""
    manifest: Manifest

    def found(self) -> Objects:
        """The objects.

        Raises:
            InputError: the image is a volume.
        """
        if self.objects is None:
            raise InputError("objects are found in pictures, the image is a volume; use --format mask")
        return self.objects


_DEFAULT = "unetpp.inference.writers.png"
_WRITERS: dict[str, str] = {"picture": _DEFAULT}
"""Module by the name of the image's format."""
_ASKED = {
    "coco": ("unetpp.inference.writers.coco", "coco"),
    "instances": ("unetpp.inference.writers.instances", None),
    "yolo": ("unetpp.inference.writers.yolo", None),
}
"""Module and extra by the name that a user asks for."""
FORMATS = (*_ASKED, "mask")
"""What a user can ask for; `mask` is class indices in the form the image came in."""


class Writers:
    """The writer of each image, for what a user asked for."""

    def __init__(self, asked: str) -> None:
        """`asked` is one of FORMATS."""
        self._asked = asked

    @classmethod
    def choose(cls, asked: str | None, manifest: Manifest) -> "Writers":
        """Those asked for; by default of objects where the network was trained on them, else of masks.

        Raises:
            InputError: an unknown format, objects of labels that overlap, or a library is missing.
        """
        if asked not in (None, *FORMATS):
            raise InputError(f"--format {asked} must be one of {', '.join(FORMATS)}")
        writers = cls(asked or ("mask" if manifest.instances is None else "instances"))
        if writers._asked in _ASKED:
            object_classes(manifest)
            writers._asked_writer()
        return writers

    def of(self, image: str) -> ModuleType:
        """The writer for an image of this name."""
        if self._asked in _ASKED:
            return self._asked_writer()
        entry = format_of(image)
        return import_module(_DEFAULT if entry is None else _WRITERS.get(entry.name, _DEFAULT))

    def names(self, image: str) -> list[str]:
        """Paths of an image's files below the output folder."""
        return [stem_of(image) + suffix for suffix in self.of(image).SUFFIXES]

    @property
    def together(self) -> tuple[str, ...]:
        """Paths of the files for all images."""
        return getattr(self._asked_writer(), "TOGETHER", ()) if self._asked in _ASKED else ()

    def finish(self, records: Sequence[Any], target: Storage, manifest: Manifest) -> None:
        """Write the files for all images."""
        if self.together:
            self._asked_writer().finish(records, target, manifest)

    def _asked_writer(self) -> ModuleType:
        module, extra = _ASKED[self._asked]
        try:
            return import_module(module)
        except ImportError as error:
            raise InputError(
                f"--format {self._asked} needs {error.name}: pip install 'unetpp[{extra}]'"
            ) from error
