"""What an evaluation measures and how masks are made."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from unetpp.inference.ensemble.load import Averaging
from unetpp.inference.masks.decide import listed_thresholds
from unetpp.inference.robustness.disturbance import Disturbance
from unetpp.objective.boundary.scores import Tolerance, parse_tolerance

__all__ = ["EvaluateOptions", "evaluate_options"]

_ALONE = Averaging()
_TOLERANCE = "2px"
_UNDISTURBED = Disturbance()


@dataclass(frozen=True)
class EvaluateOptions:
    """What is measured and how masks are made, beside the network as it is."""

    dilation: tuple[int, ...] | None = None
    """Of a run whose weights several vectors of dilations share, see `load_run`."""
    averaging: Averaging = _ALONE
    """See `load_network`."""
    thresholds: tuple[float, ...] | None = None
    """Of each class, or one for all; None for those that are kept with the model."""
    min_object_px: int = 0
    """See `Decision`."""
    tolerance: Tolerance | None = None
    """Also measure borders, which takes longer: the tolerance of the surface Dice."""
    fit_thresholds: bool = False
    """Choose the thresholds by this split and keep them with the run."""
    disturbance: Disturbance = _UNDISTURBED
    """What is done to images before they are scored."""
    out: str | None = None
    """Folder or URI for the evaluation; None for the run's own, or one beside the first of several models."""


def evaluate_options(
    *,
    tta: bool = False,
    average_levels: bool = False,
    thresholds: float | Sequence[float] | None = None,
    min_object_px: int = 0,
    boundaries: bool | str = False,
    fit_thresholds: bool = False,
    out: str | None = None,
    **disturbance: Any,
) -> EvaluateOptions:
    """From plain values, as a command line has them; all but `dilation`.

    Args:
        tta: see `Averaging`.
        average_levels: likewise.
        thresholds: see `EvaluateOptions`; one for all classes.
        min_object_px: see `Decision`.
        boundaries: measure borders; a text is the tolerance of the surface Dice, such as 3px or 1.5mm.
        fit_thresholds: see `EvaluateOptions`.
        out: likewise.
        disturbance: fields of `Disturbance`.

    Raises:
        ConfigError: the tolerance is no distance.
        InputError: see `Disturbance`.
    """
    return EvaluateOptions(
        averaging=Averaging(tta=tta, levels=average_levels),
        thresholds=listed_thresholds(thresholds),
        min_object_px=min_object_px,
        tolerance=parse_tolerance(_TOLERANCE if boundaries is True else boundaries) if boundaries else None,
        fit_thresholds=fit_thresholds,
        disturbance=Disturbance(**disturbance),
        out=out,
    )
