"""Options of the verbs that predict: what the prediction is the mean of."""

from typing import Annotated

import typer

__all__ = ["AverageLevels", "Tta"]

Tta = Annotated[
    bool,
    typer.Option(
        "--tta", help="Test-time augmentation: average over the flips and quarter turns of the training."
    ),
]
AverageLevels = Annotated[bool, typer.Option("--average-levels", help="Average over the heads.")]
