"""What the masks of a set mean: one rule from the pixels of any of its files to labels.

`Labelling` says what labels are stored as; a `MaskMeaning` is the step before, from pixels to labels.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unetpp.core.errors import InputError
from unetpp.core.mask_kinds import FOREGROUND_KINDS, MasksAre
from unetpp.data.images.header import SampleError
from unetpp.data.images.mask_facts import MaskPlane
from unetpp.data.pack.classes import ClassEntry, ClassSpec
from unetpp.data.pack.labels import (
    NO_LABELS,
    Labelling,
    colour_values,
    index_labelling,
    labelling_of,
    to_values,
)
from unetpp.data.pack.masks.colours import as_colours, colour_classes
from unetpp.data.pack.masks.doubts import Doubt, colour_doubt, doubt_about, is_one_level, lossy
from unetpp.data.pack.masks.evidence import MaskEvidence
from unetpp.data.pack.masks.foreground import (
    PROBABILITY_THRESHOLD,
    half_of_range,
    ignored_where,
    object_values,
    threshold_values,
)
from unetpp.data.pack.masks.planes import plane_of
from unetpp.data.pack.masks.reading import MaskReading
from unetpp.data.pack.masks.survey import Survey, survey_of

__all__ = ["MaskMeaning", "understand"]

_FOREGROUND = ClassSpec(classes=(ClassEntry(name="foreground"),))
_ANY = 1.0
"""Threshold of masks that hold 0 and one other whole number."""


@dataclass(frozen=True)
class MaskMeaning:
    """How the masks of a set are read; `is_stated` by the user or inferred from them."""

    masks_are: MasksAre
    plane: MaskPlane
    threshold: float | None
    """From which value on a pixel is foreground: a probability, else in raw units; None without one."""
    spec: ClassSpec | None
    labelling: Labelling
    is_stated: bool

    def values(self, mask: NDArray[Any]) -> NDArray[np.uint8]:
        """Labels, H W, of a mask's pixels on `plane`, H W C.

        Raises:
            SampleError: a pixel means nothing here.
        """
        if self.masks_are == "instances":
            values = object_values(mask)
        elif self.threshold is not None:
            is_probability = self.masks_are == "probabilities"
            values = threshold_values(mask, self.threshold, is_probability=is_probability)
        elif self.masks_are == "colours" and self.spec is not None:
            return colour_values(as_colours(mask), self.spec)
        else:
            return to_values(mask, self.spec)
        return ignored_where(mask, values, None if self.spec is None else self.spec.ignore_index)

    def counts(self, evidence: MaskEvidence) -> tuple[tuple[int, int], ...]:
        """Pixels per label of a mask, ascending.

        Raises:
            SampleError: a pixel means nothing here.
        """
        pixels = evidence.seen(self.plane)
        if not pixels.size:
            return ()  # no pixel of the mask holds data
        labels = self.values(pixels)[0]
        counts = np.zeros(256, np.int64)
        np.add.at(counts, labels, evidence.seen_counts(self.plane))
        return tuple((int(label), int(counts[label])) for label in np.flatnonzero(counts))


def understand(evidence: Mapping[str, MaskEvidence], reading: MaskReading) -> MaskMeaning:
    """The meaning of a set of masks, by file: what the user states, else what is plausible.

    Raises:
        InputError: nothing is stated and what the masks hold is not plausible; the message names the options.
    """
    plane = plane_of(evidence, reading)
    if isinstance(plane, Doubt):
        raise plane.error()
    survey = survey_of(evidence, plane)
    kind, spec = reading.masks_are, reading.spec
    if kind == "instances" or (kind is None and spec is not None):
        _require_exact(survey)
    if kind in FOREGROUND_KINDS:
        return _foreground(
            plane, kind, _threshold(survey, plane, reading), spec or _FOREGROUND, is_stated=True
        )
    if kind == "colours" and spec is None:
        spec = colour_classes(survey, plane)
    if spec is not None:
        kind = kind or ("binary" if spec.resolved_task == "binary" else "classes")
        return _of_spec(evidence, plane, kind, spec)
    # A mask of one value, such as an empty one, says nothing about how the others are drawn.
    if len(survey.colour) > sum(len(values) > 1 for values in survey.values.values()):
        raise colour_doubt(survey).error()
    if kind is None:
        doubt = doubt_about(survey)
        if doubt is not None:
            raise doubt.error()
        if is_one_level(survey):
            return _foreground(plane, "binary", _ANY, _FOREGROUND, is_stated=False)
    meaning = MaskMeaning("classes", plane, None, None, NO_LABELS, is_stated=kind is not None)
    return replace(meaning, labelling=index_labelling(_labels(evidence, meaning)))


def _threshold(survey: Survey, plane: MaskPlane, reading: MaskReading) -> float | None:
    if reading.masks_are == "instances" or reading.threshold is not None:
        return reading.threshold
    return half_of_range(survey, plane) if reading.masks_are == "binary" else PROBABILITY_THRESHOLD


def _foreground(
    plane: MaskPlane, kind: MasksAre, threshold: float | None, spec: ClassSpec, *, is_stated: bool
) -> MaskMeaning:
    return MaskMeaning(kind, plane, threshold, spec, labelling_of(spec, frozenset({0, 1})), is_stated)


def _of_spec(
    evidence: Mapping[str, MaskEvidence], plane: MaskPlane, kind: MasksAre, spec: ClassSpec
) -> MaskMeaning:
    meaning = MaskMeaning(kind, plane, None, spec, NO_LABELS, is_stated=True)
    meaning = replace(meaning, labelling=labelling_of(spec, _labels(evidence, meaning)))
    reasons = {
        name: reason for name, one in evidence.items() if (reason := _misfit(one, meaning)) is not None
    }
    if 2 * len(reasons) > len(evidence):
        name, reason = next(iter(reasons.items()))
        raise InputError(
            f"{len(reasons)} of {len(evidence)} masks do not fit the classes file, such as {name}: {reason}; "
            "or say what they are with --masks-are"
        )
    return meaning


def _misfit(one: MaskEvidence, meaning: MaskMeaning) -> str | None:
    try:
        meaning.labelling.check(label for label, _ in meaning.counts(one))
    except SampleError as error:
        return str(error)
    return None


def _require_exact(survey: Survey) -> None:
    doubt = lossy(survey)
    if doubt is not None:
        raise doubt.error()


def _labels(evidence: Mapping[str, MaskEvidence], meaning: MaskMeaning) -> frozenset[int]:
    """Labels of all masks that have a meaning; the others are left out with their reason.

    Raises:
        SampleError: none has.
    """
    seen: set[int] = set()
    first: SampleError | None = None
    for name, one in evidence.items():
        try:
            seen.update(label for label, _ in meaning.counts(one))
        except SampleError as error:
            first = first or SampleError(f"no mask can be read as {meaning.masks_are}: {name}: {error}")
    if first is not None and not seen:
        raise first
    return frozenset(seen)
