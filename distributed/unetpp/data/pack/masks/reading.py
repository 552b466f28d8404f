"""What the user says about the masks, before any is read."""

import math
from dataclasses import dataclass

from unetpp.core.errors import InputError
from unetpp.core.mask_kinds import FOREGROUND_KINDS, MASKS_ARE, MasksAre
from unetpp.data.pack.classes import ClassSpec

__all__ = ["MaskReading"]

_WITH_THRESHOLD = ("binary", "probabilities")


@dataclass(frozen=True)
class MaskReading:
    """Kind of the masks, threshold and classes file; None is left to the masks themselves."""

    masks_are: MasksAre | None = None
    threshold: float | None = None
    spec: ClassSpec | None = None

    def check(self) -> None:
        """Raises InputError if the options contradict each other."""
        if self.masks_are is not None and self.masks_are not in MASKS_ARE:
            raise InputError(f"--masks-are {self.masks_are} must be one of {', '.join(MASKS_ARE)}")
        if self.threshold is not None:
            self._check_threshold(self.threshold)
        if self.spec is None or self.masks_are is None:
            return
        if self.masks_are in FOREGROUND_KINDS and self.spec.resolved_task != "binary":
            raise InputError(
                f"--masks-are {self.masks_are} has foreground and background only, the classes file is of a "
                f"{self.spec.resolved_task} task; name the foreground only, or leave one of the two out"
            )
        if self.masks_are == "colours" and any(entry.colour is None for entry in self.spec.classes):
            raise InputError(
                "--masks-are colours needs a colour for each class of the classes file; add them, or leave "
                "the file out to have every colour found as a class"
            )

    def _check_threshold(self, threshold: float) -> None:
        if self.masks_are not in _WITH_THRESHOLD:
            raise InputError(
                f"--threshold {threshold:g} applies to --masks-are {' and '.join(_WITH_THRESHOLD)} only; "
                "add one of them, or leave the threshold out"
            )
        if not math.isfinite(threshold):
            raise InputError(f"--threshold {threshold:g} must be a number")
        if self.masks_are == "probabilities" and not 0 < threshold <= 1:
            raise InputError(
                f"--threshold {threshold:g} must be a probability, above 0 and at most 1, whatever the "
                "dtype of the masks; use 0.5"
            )
