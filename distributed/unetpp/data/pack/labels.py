"""Mask values to stored class indices, and the rules they must keep.

Two steps, because the task may have to be inferred from all masks: `to_values` turns any mask file into one
uint8 value per pixel, and a `Labelling`, settled once per dataset, maps those values to what is stored.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unetpp.core.errors import InputError
from unetpp.core.manifest import IGNORE, ClassInfo, Task
from unetpp.data.images.header import SampleError
from unetpp.data.pack.classes import ClassSpec, Colour, default_colours

__all__ = ["NO_LABELS", "Labelling", "colour_values", "index_labelling", "labelling_of", "to_values"]


@dataclass(frozen=True)
class Labelling:
    """How the values of mask files are stored: `table[value]`, IGNORE for pixels that never count."""

    task: Task
    classes: tuple[ClassInfo, ...]
    ignore_index: int | None
    table: tuple[int, ...]
    allowed: frozenset[int]

    def check(self, values: Iterable[int]) -> None:
        """Raises SampleError if a mask holds a value that is no label."""
        wrong = sorted(set(values) - self.allowed)
        if wrong:
            raise SampleError(self._explain(wrong))

    def _explain(self, wrong: list[int]) -> str:
        shown = ", ".join(map(str, wrong[:5])) + (" ..." if len(wrong) > 5 else "")
        count = len(self.classes)
        said = f"mask values {shown} are no label of this {self.task} task with {count} classes"
        if self.task == "multiclass" and wrong == [IGNORE]:
            if count == 2:
                first, second = (entry.name for entry in self.classes)
                said += (
                    f", which are 0 and 1; if 255 is {second!r}, the task is binary and its classes file "
                    f"names {second!r} only: remove {first!r}; else"
                )
            else:
                said += ";"
            return f"{said} if 255 marks pixels that never count, add ignore_index: 255 to the classes file"
        return f"{said}; correct the mask or the classes file"

    def apply(self, values: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Stored mask of a values mask, both H W."""
        return np.array(self.table, dtype=np.uint8)[values]

    def foreground(self, counts: Mapping[int, int]) -> float:
        """Fraction of the scored pixels that are not background (value 0)."""
        scored = sum(count for value, count in counts.items() if self.table[value] != IGNORE)
        positive = sum(n for value, n in counts.items() if self.table[value] not in (0, IGNORE))
        return positive / scored if scored else 0.0


NO_LABELS = Labelling("multiclass", (), None, tuple(range(256)), frozenset())
"""Of masks whose labels are still to be found."""


def to_values(mask: NDArray[Any], spec: ClassSpec | None) -> NDArray[np.uint8]:
    """One uint8 value per pixel, H W, from a mask as stored in its file, H W C.

    Raises:
        SampleError: values above 255, an unknown colour, or channels without a meaning.
    """
    if mask.dtype.kind == "f" and not (mask.min() >= 0 and np.array_equal(mask, np.rint(mask))):
        raise SampleError(
            "a floating-point mask must hold class indices 0, 1, 2 ...; for others see --masks-are "
            "probabilities"
        )
    if mask.max() > IGNORE:
        raise SampleError(_too_large(mask))
    mask = mask.astype(np.uint8)
    if spec is not None and spec.resolved_task == "multilabel" and mask.shape[2] > 1:
        return _label_bits(mask, len(spec.classes))
    is_grey = mask.shape[2] == 1 or bool((mask == mask[:, :, :1]).all())
    has_colours = spec is not None and any(entry.colour is not None for entry in spec.classes)
    if mask.shape[2] == 3 and spec is not None and has_colours:
        try:
            return colour_values(mask, spec)
        except SampleError:
            # Class indices saved as R = G = B are no colours of the file.
            if not is_grey:
                raise
    if is_grey:
        return np.ascontiguousarray(mask[:, :, 0])
    if mask.shape[2] == 3:
        raise SampleError(
            "a colour mask needs a classes file with a colour for each class (--classes), or --masks-are "
            "colours"
        )
    raise SampleError(f"a mask of {mask.shape[2]} channels needs a classes file with task: multilabel")


def labelling_of(spec: ClassSpec, seen: frozenset[int]) -> Labelling:
    """The labelling that a classes file states; `seen` are all mask values of the dataset."""
    task, count = spec.resolved_task, len(spec.classes)
    table = list(range(256))
    allowed = set(range(2**count if task == "multilabel" else max(count, 2)))
    if any(entry.values is not None for entry in spec.classes):
        merged = _stored_by_value(spec)
        table, allowed = [merged.get(value, 0) for value in range(256)], {0, *merged}
    elif task == "binary" and spec.ignore_index != IGNORE and IGNORE in seen and 1 not in seen:
        table[255] = 1
        allowed.add(255)
    ignores = spec.ignore_index is not None or spec.ignore_colour is not None
    ignored = (IGNORE if spec.ignore_index is None else spec.ignore_index) if ignores else None
    if ignored is not None:
        table[ignored] = IGNORE
        allowed.add(ignored)
    colours = default_colours(count)
    classes = tuple(
        ClassInfo(name=entry.name, colour=entry.colour or colours[index])
        for index, entry in enumerate(spec.classes)
    )
    return Labelling(task, classes, IGNORE if ignores else None, tuple(table), frozenset(allowed))


def _stored_by_value(spec: ClassSpec) -> dict[int, int]:
    """What is stored for each mask value that a class has; a label adds its bit."""
    stored: dict[int, int] = {}
    first = 1 if spec.resolved_task == "binary" else 0
    for index, entry in enumerate(spec.classes):
        for value in entry.values or ():
            is_label = spec.resolved_task == "multilabel"
            stored[value] = stored.get(value, 0) | 1 << index if is_label else first + index
    return stored


def index_labelling(seen: Iterable[int]) -> Labelling:
    """The labelling of class indices without a classes file: max + 1 classes, 255 is ignored.

    Raises:
        InputError: there are not two classes.
    """
    values = frozenset(seen)
    count = max(values - {IGNORE}, default=0) + 1
    if count < 2:
        shown = " and ".join(map(str, sorted(values)))
        raise InputError(
            f"masks of class indices must hold at least two classes, these hold {shown}, and 255 marks "
            "ignored pixels; if it is the foreground, use --masks-are binary"
        )
    colours = default_colours(count)
    classes = tuple(ClassInfo(name=f"class_{index}", colour=colours[index]) for index in range(count))
    ignored = values & {IGNORE}
    ignore = IGNORE if ignored else None
    return Labelling("multiclass", classes, ignore, tuple(range(256)), frozenset(range(count)) | ignored)


def _too_large(mask: NDArray[Any]) -> str:
    found = np.unique(mask)
    rule = f"mask values must be 0 to 255, this mask reaches {found[-1]}"
    if found[:-1].tolist() == [0]:
        return f"{rule}: it is a binary mask in more than 8 bits; add --masks-are binary"
    return f"{rule}; add --masks-are instances if they are ids of objects"


def _label_bits(mask: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    if mask.shape[2] != count:
        raise SampleError(f"the mask has {mask.shape[2]} channels, the classes file {count} labels")
    if not set(np.unique(mask).tolist()) <= {0, 1, 255}:
        raise SampleError("each channel of a multilabel mask must hold 0 and 1, or 0 and 255")
    # (H, W, labels) -> bit k of each pixel is label k
    return np.packbits(mask != 0, axis=2, bitorder="little")[:, :, 0]


def colour_values(mask: NDArray[np.uint8], spec: ClassSpec) -> NDArray[np.uint8]:
    """Class indices, H W, of a mask in the colours of a classes file, H W 3.

    Raises:
        SampleError: a colour is not in the file.
    """
    codes = mask.astype(np.uint32) @ np.array([65536, 256, 1], dtype=np.uint32)
    # A binary task names its foreground only: that is value 1, and black is the background.
    first = 1 if spec.resolved_task == "binary" else 0
    known = {
        _code(entry.colour): i for i, entry in enumerate(spec.classes, first) if entry.colour is not None
    }
    if first:
        known.setdefault(0, 0)
    if spec.ignore_colour is not None:
        known[_code(spec.ignore_colour)] = IGNORE if spec.ignore_index is None else spec.ignore_index
    found, inverse = np.unique(codes, return_inverse=True)
    unknown = [int(code) for code in found if int(code) not in known]
    if unknown:
        colour = (unknown[0] >> 16, unknown[0] >> 8 & 255, unknown[0] & 255)
        raise SampleError(f"colour {colour} is not in the classes file ({len(unknown)} unknown colours)")
    values = np.array([known[int(code)] for code in found], dtype=np.uint8)
    return values[inverse].reshape(codes.shape)


def _code(colour: Colour) -> int:
    return colour[0] << 16 | colour[1] << 8 | colour[2]
