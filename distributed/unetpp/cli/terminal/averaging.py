"""Options of the verbs that predict: what a prediction is the mean of, and what decides on its mask."""

from typing import Annotated

import typer

__all__ = ["AverageLevels", "MinObject", "Threshold", "Tta", "parse_thresholds"]

Tta = Annotated[
    bool,
    typer.Option(
        "--tta", help="Test-time augmentation: average over the flips and quarter turns of the training."
    ),
]
AverageLevels = Annotated[bool, typer.Option("--average-levels", help="Average over the heads.")]
MinObject = Annotated[
    int, typer.Option(min=0, help="Leave objects of fewer connected pixels out of the masks.")
]
Threshold = Annotated[
    str | None,
    typer.Option(
        metavar="T[,T...]",
        help="Probability above which a pixel has a label, one for all or each [default: those kept with the "
        "model, else 0.5].",
    ),
]


def parse_thresholds(text: str | None) -> tuple[float, ...] | None:
    """`0.4` or `0.4,0.55`.

    Raises:
        ConfigError: it is no list of numbers.
    """
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        from unetpp.core.errors import ConfigError

        raise ConfigError(f"--threshold takes numbers such as 0.4 or 0.4,0.55, not {text!r}") from error
