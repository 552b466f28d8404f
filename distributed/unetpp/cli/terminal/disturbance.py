"""The options of `evaluate` that change images before they are scored."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

__all__ = ["Attack", "Corruption", "Epsilon", "Severity", "Steps", "disturbed_by"]

Attack = Annotated[
    str | None,
    typer.Option(metavar="fgsm|pgd|segpgd", help="Score images that were changed to be segmented wrongly."),
]
Epsilon = Annotated[
    float | None,
    typer.Option(help="Largest change of a pixel in the images' own values [default: 8 of 255 for 8 bits]."),
]
Steps = Annotated[int | None, typer.Option(help="Steps of the attack [default: 10; fgsm takes one].")]
Corruption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Score worse images: gaussian_noise, shot_noise, impulse_noise, gaussian_blur, pixelate, "
        "brightness, contrast or jpeg.",
    ),
]
Severity = Annotated[int | None, typer.Option(help="Of the corruption, 1 to 5 [default: 3].")]


def disturbed_by(result: Mapping[str, Any]) -> str:
    """What was done to the images, for a line of text; empty where nothing was."""
    done = result["disturbance"]
    if done is None:
        return ""
    if "corruption" in done:
        return f", {done['corruption']} of severity {done['severity']}"
    steps = "" if done["attack"] == "fgsm" else f" in {done['steps']} steps"
    return f", under {done['attack']} of at most {done['epsilon']:g}{steps}"
