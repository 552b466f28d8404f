"""Whether `--masks` names annotations: one file for a folder of images, or a folder of files."""

from collections.abc import Iterable
from dataclasses import dataclass

from unetpp.core.errors import InputError
from unetpp.data.annotations.annotation import Survey
from unetpp.data.annotations.registry import AnnotationFormat, is_annotation, recognise, survey
from unetpp.data.images.listing import is_hidden
from unetpp.data.sources.files import FileRef, UnreadFileError, source_storage

__all__ = ["find_annotations"]

_PROBED = 20
"""Files of a folder that are looked into for one of a known format."""


@dataclass(frozen=True)
class _Found:
    format: AnnotationFormat
    files: tuple[FileRef, ...]


def find_annotations(masks: str, mask_images: Iterable[str], class_field: str | None = None) -> Survey | None:
    """What the annotations hold that `masks` names; None where it names a folder of mask images.

    Args:
        masks: file or folder, path or URI.
        mask_images: mask images in that folder, which then are what is meant.
        class_field: attribute of its objects that tells their class.

    Raises:
        InputError: a file of no known format, or several files that each are of many images.
        UnreadFileError: a file is missing or refused.
    """
    found = _named_file(masks) if is_annotation(masks) else None
    is_named = found is not None
    found = found or _in_folder(masks, mask_images)
    if found is None:
        if class_field is not None:
            raise InputError(
                f"--class-field {class_field} needs GeoJSON or GeoPackage masks; {masks} holds none"
            )
        return None
    survey_of_all = survey(found.format, found.files, class_field)
    return survey_of_all.of_all_images() if is_named and found.format.by_place else survey_of_all


def _named_file(uri: str) -> _Found | None:
    folder, _, name = uri.rstrip("/").rpartition("/")
    ref = FileRef(folder or ".", name)
    try:
        entry = recognise(ref)
    except UnreadFileError as error:
        if source_storage(uri).list():
            return None  # a folder whose name ends like a file's
        raise InputError(f"--masks {uri} cannot be read: {error.reason}; correct the path") from error
    if entry is None:
        raise InputError(
            f"--masks {uri} is no known annotation file: COCO has images, annotations and categories, "
            "LabelMe has shapes, GeoJSON is a FeatureCollection; name a folder of masks or another file"
        )
    return _Found(entry, (ref,))


def _in_folder(uri: str, mask_images: Iterable[str]) -> _Found | None:
    if any(True for _ in mask_images):
        return None
    storage = source_storage(uri)
    paths = [path for path in storage.list() if is_annotation(path) and not is_hidden(path)]
    for path in paths[:_PROBED]:
        entry = recognise(FileRef(uri, path))
        if entry is not None:
            alike = [FileRef(uri, other) for other in paths if other.lower().endswith(entry.suffixes)]
            return _Found(entry, tuple(alike))
    return None
