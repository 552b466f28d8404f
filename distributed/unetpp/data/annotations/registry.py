"""Which format an annotation file has: one module beside this one each, and this table names them.

A module has

    recognises(data: bytes) -> bool                              # by content: formats share endings
    survey(files: Sequence[FileRef]) -> Survey                   # what they hold, image by image
    render(annotation, image: Raster, box, labels) -> Rendered   # objects as pixels of the image's grid

`labels` limits the objects to those classes, None draws all; `box` limits the pixels. Where objects overlap,
the module decides which one is seen.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

from unetpp.core.errors import InputError
from unetpp.data.annotations.annotation import Annotation, Rendered, Survey
from unetpp.data.images.header import SampleError
from unetpp.data.sources.files import FileRef, read_file
from unetpp.data.sources.raster import Box, Raster

__all__ = ["ANNOTATIONS", "AnnotationFormat", "is_annotation", "recognise", "render", "survey"]


@dataclass(frozen=True)
class AnnotationFormat:
    """A row of the table."""

    name: str
    suffixes: tuple[str, ...]
    module: str
    extra: str | None = None
    """Of unetpp, which brings the libraries; None where the base installation has them."""
    by_place: bool = False
    """Whether objects have places on the Earth: one file may be of all images, and `class_field` names the
    attribute that tells the class."""


ANNOTATIONS = (
    AnnotationFormat("COCO", (".json",), "unetpp.data.annotations.coco", "formats"),
    AnnotationFormat("LabelMe", (".json",), "unetpp.data.annotations.labelme"),
    AnnotationFormat("YOLO", (".txt",), "unetpp.data.annotations.yolo"),
    AnnotationFormat(
        "GeoJSON", (".geojson", ".json"), "unetpp.data.annotations.geo.geojson", "formats", by_place=True
    ),
    AnnotationFormat(
        "GeoPackage", (".gpkg",), "unetpp.data.annotations.geo.geopackage", "formats", by_place=True
    ),
)


def is_annotation(path: str) -> bool:
    """Whether a file's ending is that of some annotation format."""
    return path.lower().endswith(tuple(suffix for entry in ANNOTATIONS for suffix in entry.suffixes))


def recognise(ref: FileRef) -> AnnotationFormat | None:
    """The format of a file, by its ending and content; None if it is of none.

    Raises:
        UnreadFileError: the file is missing or refused.
    """
    named = [entry for entry in ANNOTATIONS if ref.path.lower().endswith(entry.suffixes)]
    data = read_file(ref) if named else b""
    return next((entry for entry in named if _module(entry).recognises(data)), None)


def survey(entry: AnnotationFormat, files: Sequence[FileRef], class_field: str | None = None) -> Survey:
    """What annotation files of one format hold.

    Raises:
        InputError: nothing in them can be used, or `class_field` has no meaning in the format.
        UnreadFileError: a file is missing or refused.
    """
    if class_field is not None and not entry.by_place:
        raise InputError(
            f"--class-field {class_field} names an attribute of GeoJSON and GeoPackage; "
            f"{entry.name} has class names"
        )
    further = {"class_field": class_field} if entry.by_place else {}
    found: Survey = _module(entry).survey(files, **further)
    return found


def render(
    annotation: Annotation, image: Raster, box: Box | None = None, labels: Collection[str] | None = None
) -> Rendered:
    """Draw the objects of an image on its grid.

    Raises:
        SampleError: the annotation is damaged or of an image of another size.
    """
    if image.header.planes is not None:
        raise SampleError(
            f"{annotation.format} annotations are of pictures, "
            f"the image is a volume of {image.header.planes} planes"
        )
    entry = next(entry for entry in ANNOTATIONS if entry.name == annotation.format)
    drawn: Rendered = _module(entry).render(annotation, image, box, labels)
    return drawn


def _module(entry: AnnotationFormat) -> ModuleType:
    try:
        return import_module(entry.module)
    except ImportError as error:
        raise InputError(
            f"{entry.name} annotations need {error.name}: pip install 'unetpp[{entry.extra}]'"
        ) from error
