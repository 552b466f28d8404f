"""What packing understood of a set, before it writes: kind of the masks, classes, values, splits
and warnings."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from unetpp.core.manifest import Task
from unetpp.core.mask_kinds import MasksAre
from unetpp.data.images.mask_facts import MaskPlane

__all__ = ["ClassShare", "SplitShare", "Understood"]

_PLANES: dict[MaskPlane, str] = {
    "stored": "",
    "shown": ", as viewers show them",
    "alpha": " in the alpha channel",
}
_SHOWN_SIZES = 3


@dataclass(frozen=True)
class SplitShare:
    """What one split holds of a class."""

    pixels: int
    images: int
    largest: int = 0
    """Pixels of the image that holds most of it."""
    largest_image: str = ""
    """Its sample id."""


@dataclass(frozen=True)
class ClassShare:
    """A class, the background of a binary task, or the ignored pixels; shares are of all pixels
    and images."""

    name: str
    values: str
    """The mask values that mean it, all or the ends of many."""
    pixel_share: float
    image_share: float
    splits: Mapping[str, SplitShare]
    is_scored: bool
    """Whether it is a class of the dataset, rather than background or ignored."""


@dataclass(frozen=True)
class Understood:
    """A set of pairs as it is about to be packed."""

    task: Task
    masks_are: MasksAre
    is_stated: bool
    """Whether the user said so; otherwise it follows from the values."""
    plane: MaskPlane
    threshold: float | None
    """From which value, or probability, on a pixel is foreground."""
    mask_files: Mapping[str, int]
    """Masks by container, bits and channels, such as "PNG 8 bit"."""
    classes: tuple[ClassShare, ...]
    channels: int
    dtype: str
    sizes: Mapping[str, int]
    """Images by "HEIGHTxWIDTH", volumes by "PLANESxHEIGHTxWIDTH", before tiling or resizing."""
    splits: Mapping[str, int]
    """Images by split."""
    rejected: int
    warnings: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    def lines(self) -> Iterator[str]:
        """The same for people."""
        how = "as stated" if self.is_stated else "inferred; --masks-are says otherwise"
        threshold = "" if self.threshold is None else f", foreground from {self.threshold:g} on"
        yield f"masks: {self.masks_are}{_PLANES[self.plane]}{threshold} ({how}); {_counted(self.mask_files)}"
        yield f"task: {self.task}; images: {self.channels} channel(s) of {self.dtype}, {self._sizes()}"
        splits = ", ".join(f"{name} {count}" for name, count in self.splits.items())
        yield f"split: {splits} images" + (f"; {self.rejected} files left out" if self.rejected else "")
        width = max(len(share.name) for share in self.classes)
        for share in self.classes:
            yield (
                f"  {share.name:<{width}}  {_percent(share.pixel_share):>8} of pixels, in "
                f"{_percent(share.image_share)} of images; mask value {share.values}"
            )
        for warning in self.warnings:
            yield f"warning: {warning}"

    def _sizes(self) -> str:
        common = Counter(self.sizes).most_common(_SHOWN_SIZES)
        more = len(self.sizes) - len(common)
        return ", ".join(f"{size} px ({count})" for size, count in common) + (
            f" and {more} more" if more else ""
        )


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _percent(share: float) -> str:
    # A class of few pixels must not look like one of none.
    return f"{100 * share:.1f} %" if share == 0 or share >= 0.001 else f"{100 * share:.1g} %"
