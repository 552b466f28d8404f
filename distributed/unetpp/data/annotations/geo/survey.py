"""Vector files of one format: one for all images, or one for each, paired by stem."""

import logging
from collections.abc import Sequence

from unetpp.core.errors import InputError
from unetpp.data.annotations.annotation import Annotation, Entry, Survey
from unetpp.data.annotations.geo.burn import Reader, load, reference_of
from unetpp.data.sources.files import FileRef, location

__all__ = ["survey_files"]

logger = logging.getLogger(__name__)


def survey_files(name: str, read: Reader, files: Sequence[FileRef], class_field: str | None) -> Survey:
    """What the files hold, classes in sorted order.

    Raises:
        InputError: the only file cannot be used.
        UnreadFileError: a file is missing or refused.
    """

    def entry(file: FileRef) -> Entry:
        reference = reference_of(file, class_field)
        polygons = load(read, file, reference)
        if polygons.without_area:
            logger.warning(
                "%s: %d features are lines or points and are left out; buffer them into polygons",
                location(file), polygons.without_area,
            )  # fmt: skip
        unnamed = polygons.labels.count(None)
        if unnamed:
            logger.warning(
                "%s: %d polygons have no value of %r; their pixels never count",
                location(file), unnamed, class_field,
            )  # fmt: skip
        labels = frozenset(label for label in polygons.labels if label is not None)
        return Entry(
            file.path, Annotation(name, file, reference, labels, (), unnamed > 0, by_place=True), by_stem=True
        )

    found = Survey.of_files(files, entry)
    if len(files) == 1 and found.refused:
        ((file, reason),) = found.refused
        raise InputError(f"{location(file)}: {reason}")
    classes = _sorted(found.labels)
    if class_field is not None:
        logger.info("%d values of %r become classes: %s", len(classes), class_field, ", ".join(classes[:20]))
    return found.declaring(classes)


def _sorted(labels: frozenset[str]) -> tuple[str, ...]:
    """Numbers by their value, else by the alphabet."""
    try:
        return tuple(sorted(labels, key=lambda label: (float(label), label)))
    except ValueError:
        return tuple(sorted(labels))
