"""What changes the packed bytes."""

from dataclasses import dataclass

from unetpp.core.errors import InputError
from unetpp.core.manifest import Instances
from unetpp.data.pack.classes import ClassSpec
from unetpp.data.pack.groups import EACH_ALONE, GroupRule
from unetpp.data.sources.slices import SLICINGS

__all__ = ["PackOptions"]


@dataclass(frozen=True)
class PackOptions:
    """What changes the packed bytes."""

    val: float = 0.1
    test: float = 0.1
    size_px: int | None = None
    """Every image is resized to this square."""
    tile_px: int | None = None
    """Every image is cut into squares of this side."""
    classes: ClassSpec | None = None
    slices: str | None = None
    """Volumes become the slices along this direction."""
    instances: Instances | None = None
    """Mask values are ids of objects, which become classes like this."""
    group: GroupRule = EACH_ALONE
    """Samples of one group stay in one split."""

    def check(self) -> None:
        """Raises InputError if the options contradict each other."""
        if self.slices not in (None, *SLICINGS):
            raise InputError(f"--slices {self.slices} must be one of {', '.join(SLICINGS)}")
        if self.size_px is not None and self.tile_px is not None:
            raise InputError("--size and --tile exclude each other; resize whole images or cut them")
        for name, value in (("size", self.size_px), ("tile", self.tile_px)):
            if value is not None and value < 8:
                raise InputError(f"--{name} {value} must be at least 8 pixels")
