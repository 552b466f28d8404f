"""What can be asked for of a prediction of many images."""

from dataclasses import dataclass
from typing import Any

from unetpp.core.errors import ConfigError
from unetpp.inference.ensemble.load import Averaging

__all__ = ["PredictOptions"]


@dataclass(frozen=True)
class PredictOptions:
    """How a folder is predicted."""

    level: int | None = None
    """Head to use; None for the deepest."""
    overlay: bool = False
    """Also write `out/overlays/<stem>.png`."""
    overwrite: bool = False
    """Replace outputs that exist."""
    strict: bool = False
    """Stop at the first image that cannot be predicted."""
    probabilities: bool = False
    """Also write those of each class, beside the mask."""
    format: str | None = None
    """Writer of the masks; None for the form the image came in."""
    dilation: tuple[int, ...] | None = None
    """Of a run whose weights several vectors of dilations share, see `load_run`."""
    tta: bool = False
    """Test-time augmentation: average over the flips and quarter turns that the training's had."""
    average_levels: bool = False
    """Average over the levels up to the head that is used."""
    thresholds: tuple[float, ...] | None = None
    """Probability above which a pixel has a label, one for all or each; None for those kept."""
    min_object_px: int = 0
    """Connected pixels of a class that are fewer become what is next most probable."""
    resume: bool = False
    """Go on with a call that did not end: images whose outputs it has written are left out."""

    split: str | None = None
    """Of a packed dataset: whose rows; None for test, or val where there is no test."""
    review: int | None = None
    """Also write so many of the least certain images, with a page of them, to `out/review`."""

    def __post_init__(self) -> None:
        if self.review is not None and self.review < 1:
            raise ConfigError(f"--review {self.review} must be at least 1; leave it out for none")

    @property
    def of_model(self) -> dict[str, Any]:
        """Those of `Predictor.of`."""
        every_level = self.review is not None
        averaging = Averaging(self.tta, self.average_levels, every_level)
        decided = {"thresholds": self.thresholds, "min_object_px": self.min_object_px}
        return {"level": self.level, "dilation": self.dilation, "averaging": averaging, **decided}
