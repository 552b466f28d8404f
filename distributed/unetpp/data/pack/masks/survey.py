"""All masks of a set on one plane: which values they hold, and where."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from unetpp.core.manifest import IGNORE
from unetpp.data.images.mask_facts import MaskPlane
from unetpp.data.pack.masks.evidence import MaskEvidence

__all__ = ["Survey", "survey_of"]


@dataclass(frozen=True)
class Survey:
    """Masks with one value a pixel, by file; colour masks apart."""

    grey: Mapping[str, MaskEvidence]
    values: Mapping[str, frozenset[float]]
    """Distinct values of each grey mask."""
    pixels: Counter[float]
    """Pixels of each value in all grey masks."""
    masks: Counter[float]
    """Grey masks that hold each value."""
    colour: Mapping[str, MaskEvidence]

    @property
    def seen(self) -> frozenset[float]:
        """Distinct values of all grey masks."""
        return frozenset(self.pixels)

    @property
    def labels(self) -> frozenset[float]:
        """The same without 255 where that marks ignored pixels, which is where there are two other values."""
        rest = self.seen - {IGNORE}
        return rest if len(rest) > 1 else self.seen

    def first(self, value: float) -> str:
        """A file that holds a value."""
        return next(name for name, values in self.values.items() if value in values)


def survey_of(evidence: Mapping[str, MaskEvidence], plane: MaskPlane) -> Survey:
    """Count the values of a plane; masks that lack it are left out."""
    grey: dict[str, MaskEvidence] = {}
    values: dict[str, frozenset[float]] = {}
    pixels: Counter[float] = Counter()
    masks: Counter[float] = Counter()
    colour: dict[str, MaskEvidence] = {}
    for name, one in evidence.items():
        if plane == "alpha" and one.alpha is None:
            continue
        seen = one.seen(plane)[0]
        if not (seen == seen[:, :1]).all():
            colour[name] = one
            continue
        grey[name] = one.alpha if plane == "alpha" and one.alpha is not None else one
        values[name] = frozenset(seen[:, 0].tolist())
        masks.update(values[name])
        for value, count in zip(seen[:, 0].tolist(), one.seen_counts(plane).tolist(), strict=True):
            pixels[value] += count
    return Survey(grey, values, pixels, masks, colour)
