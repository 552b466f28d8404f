"""The option that names one of the vectors of dilations that share a run's weights."""

from typing import Annotated

import typer

from unetpp.core.errors import ConfigError

__all__ = ["Dilation", "parse_dilation"]

Dilation = Annotated[
    str | None,
    typer.Option(
        "--dilation",
        metavar="D,D,...",
        help="Of a run with model.shared_dilations: the vector to use, or a level's first rows "
        "[default: the best].",
    ),
]


def parse_dilation(text: str | None) -> tuple[int, ...] | None:
    """The numbers of the option's value.

    Raises:
        ConfigError: it is no list of positive integers.
    """
    if text is None:
        return None
    entries = text.split(",")
    if not all(entry.isdecimal() and int(entry) > 0 for entry in entries):
        raise ConfigError(f"--dilation={text} must be positive integers, one per row; for example 1,2,4")
    return tuple(map(int, entries))
