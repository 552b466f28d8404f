"""Annotations as the masks of a dataset: their classes, and their pixels as a mask file would hold them.

Class 0 is what no object covers, unless one class is all there is or objects may overlap (a multilabel task).
Classes that a classes file leaves out are background, which is said.
"""

import hashlib
import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from unetpp.core.errors import InputError
from unetpp.core.manifest import IGNORE
from unetpp.data.annotations.annotation import Annotation
from unetpp.data.annotations.registry import render
from unetpp.data.images.header import Header
from unetpp.data.pack.classes import ClassEntry, ClassSpec
from unetpp.data.pack.discover import Pair
from unetpp.data.pack.masks.unmasked import Unmasked
from unetpp.data.sources.files import location
from unetpp.data.sources.masks import open_aligned
from unetpp.data.sources.raster import Box, Pixels, Raster, Space

__all__ = ["DrawnMask", "annotated_classes", "open_mask", "require_overlap"]

logger = logging.getLogger(__name__)

_BACKGROUND = ("background", "_background_")


def annotated_classes(pairs: Sequence[Pair], spec: ClassSpec | None) -> ClassSpec | None:
    """The classes of a dataset whose masks are annotations; `spec` as it is for mask images.

    Raises:
        InputError: objects of class 0 of the classes file would be what no object covers.
    """
    annotations = [pair.annotation for pair in pairs if pair.annotation is not None]
    if not annotations:
        return spec
    used = frozenset().union(*(annotation.labels for annotation in annotations))
    if spec is None:
        spec = _found(annotations, used)
    else:
        _check(spec, used)
    if any(annotation.has_ignored for annotation in annotations) and spec.ignore_index is None:
        spec = spec.model_copy(update={"ignore_index": IGNORE})
    return spec


def require_overlap(found: Iterable[tuple[Annotation | None, frozenset[float]]]) -> None:
    """Refuse a dataset none of whose images has an object, though the objects' places are known.

    Args:
        found: each image's annotation and the values of its mask.

    Raises:
        InputError: objects and images lie apart.
    """
    masks = list(found)
    placed = [annotation for annotation, _ in masks if annotation is not None and annotation.by_place]
    if len(placed) == len(masks) and not any(values - {0} for _, values in masks):
        raise InputError(
            f"no object of {location(placed[0].file)} lies on any of the {len(masks)} images; "
            "is its reference system right, or that of the images?"
        )


@contextmanager
def open_mask(pair: Pair, image: Raster, spec: ClassSpec | None) -> Iterator[Raster]:
    """A pair's mask: its file, or what its annotation draws on the image.

    Raises:
        SampleError: the reason why the mask cannot be used.
        UnreadFileError: it is missing or refused.
    """
    if pair.is_unmasked:
        yield Unmasked(image)
        return
    if pair.annotation is None:
        with open_aligned(pair.mask, image) as mask:
            yield mask
        return
    assert spec is not None
    yield DrawnMask(pair.annotation, image, spec)


@dataclass(frozen=True)
class DrawnMask:
    """An annotation as the mask of its image."""

    annotation: Annotation
    image: Raster
    spec: ClassSpec

    @property
    def header(self) -> Header:
        return replace(self.image.header, channels=1, dtype="uint8")

    @property
    def space(self) -> Space:
        return self.image.space

    @cached_property
    def digest(self) -> bytes:
        return hashlib.sha256(self.annotation.content).digest()

    def read(self, box: Box | None = None) -> Pixels:
        names = [entry.name for entry in self.spec.classes]
        ignored = IGNORE if self.spec.ignore_index is None else self.spec.ignore_index
        if self.spec.resolved_task == "multilabel":
            return Pixels(self._label_bits(names, ignored, box)[:, :, None])
        first = 1 if self.spec.resolved_task == "binary" else 0
        value_of = {name: value for value, name in enumerate(names, first)}
        drawn = render(self.annotation, self.image, box)
        return Pixels(drawn.values(value_of, 0, ignored)[:, :, None])

    def ids(self, box: Box | None = None) -> NDArray[np.int32]:
        """Number of the object at each pixel, H W; 0 where none is that counts."""
        names = {entry.name for entry in self.spec.classes}
        drawn = render(self.annotation, self.image, box)
        counts = np.array([False, *(label in names - {*_BACKGROUND} for label in drawn.labels)])
        return np.where(counts[drawn.objects], drawn.objects, 0)

    def _label_bits(self, names: Sequence[str], ignored: int, box: Box | None) -> NDArray[np.uint8]:
        bits: NDArray[np.uint8] | None = None
        never = np.zeros((), dtype=np.bool_)
        for k, name in enumerate(names):
            layer = render(self.annotation, self.image, box, {name}).values({name: 1}, 0, 2)
            bits = (layer == 1).astype(np.uint8) << k | (0 if bits is None else bits)
            never = never | (layer == 2)
        assert bits is not None
        # Where one label is drawn over a crowd, its pixel counts for every label.
        bits[never & (bits == 0)] = ignored
        return bits


def _found(annotations: Sequence[Annotation], used: frozenset[str]) -> ClassSpec:
    declared = dict.fromkeys(name for annotation in annotations for name in annotation.declared)
    names = [name for name in declared if name in used and name not in _BACKGROUND]
    if not names:
        raise InputError(
            "the annotations hold no object; name the classes with --classes to pack background only"
        )
    unused = [name for name in declared if name not in used]
    if unused:
        logger.info("%d classes have no object and are left out, first %r", len(unused), unused[0])
    shown = names if len(names) == 1 else [_BACKGROUND[0], *names]
    return ClassSpec(classes=tuple(ClassEntry(name=name) for name in shown))


def _check(spec: ClassSpec, used: frozenset[str]) -> None:
    names = [entry.name for entry in spec.classes]
    first = names[0]
    if spec.resolved_task == "multiclass" and first in used and first not in _BACKGROUND:
        raise InputError(
            f"class 0 of the classes file is what no object covers, but there are objects {first!r}; "
            "put `background` before it"
        )
    if not used & set(names):
        raise InputError(
            f"the classes file names {', '.join(names[:5])}, the annotations "
            f"{', '.join(sorted(used)[:5])}; use the same names"
        )
    left_out = sorted(used - set(names) - set(_BACKGROUND))
    if left_out:
        logger.warning(
            "objects of %d classes that the classes file does not name become background: %s",
            len(left_out), ", ".join(left_out[:5]),
        )  # fmt: skip
