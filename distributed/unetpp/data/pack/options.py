"""What changes the packed bytes."""

import math
from dataclasses import dataclass

from unetpp.core.errors import InputError
from unetpp.core.manifest import Instances
from unetpp.core.mask_kinds import MasksAre
from unetpp.data.images.pixels import PLAIN, Reading
from unetpp.data.pack.classes import ClassSpec
from unetpp.data.pack.masks.reading import MaskReading
from unetpp.data.pack.splitting.groups import EACH_ALONE, GroupRule
from unetpp.data.sources.slices import SLICINGS
from unetpp.data.sources.window import Window

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
    spacing_mm: tuple[float, ...] | None = None
    """Images are resampled to this distance of pixels: Z, H, W of volumes, or H, W of slices and pictures."""
    window: Window | None = None
    """Values outside are clipped to it."""
    group: GroupRule = EACH_ALONE
    """Samples of one group stay in one split."""
    file_reading: Reading = PLAIN
    """What the files leave open and the user has settled."""
    pair: str | None = None
    """An expression whose group an image shares with its mask; by default their names decide."""
    masks_are: MasksAre | None = None
    """Kind of the masks; None infers it and refuses what is implausible."""
    threshold: float | None = None
    """From which value or probability on a pixel is foreground."""

    label_only: bool = False
    """Images without a mask are kept where a folder in their path is one of the classes file's labels."""

    @property
    def mask_reading(self) -> MaskReading:
        """What is said about the masks."""
        return MaskReading(self.masks_are, self.threshold, self.classes)

    def check(self) -> None:
        """Raises InputError if the options contradict each other."""
        self.mask_reading.check()
        if self.label_only and not (self.classes and self.classes.image_labels):
            raise InputError(
                "--label-only keeps images for their label; name the labels, which are folders in their "
                "paths, in a classes file: image_labels: [scratch, pore]"
            )
        if self.slices not in (None, *SLICINGS):
            raise InputError(f"--slices {self.slices} must be one of {', '.join(SLICINGS)}")
        if self.spacing_mm is not None and (
            len(self.spacing_mm) not in (2, 3) or not all(0 < mm < math.inf for mm in self.spacing_mm)
        ):
            raise InputError(
                f"--spacing {self.spacing_mm} must be Z,Y,X or Y,X millimetres above 0; use 3,1,1"
            )
        if self.window is not None and not (math.isfinite(self.window[0]) and 0 < self.window[1] < math.inf):
            raise InputError(f"--window {self.window} must be CENTRE,WIDTH with a width above 0; use 40,400")
        if self.spacing_mm is not None and self.size_px is not None:
            raise InputError(
                "--spacing and --size exclude each other; one of them settles how large pixels are"
            )
        if self.size_px is not None and self.tile_px is not None:
            raise InputError("--size and --tile exclude each other; resize whole images or cut them")
        for name, value in (("size", self.size_px), ("tile", self.tile_px)):
            if value is not None and value < 8:
                raise InputError(f"--{name} {value} must be at least 8 pixels")
