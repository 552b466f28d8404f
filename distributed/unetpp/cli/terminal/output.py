"""What the verbs write: the result to stdout, everything else for people to stderr."""

import json as json_module
import math
import sys
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer
from rich.console import Console

from unetpp.api.html import text
from unetpp.core.logs import redact

__all__ = ["SOME_FAILED", "STOPPED", "Json", "emit", "error_line", "note"]

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line.")]
"""The option of every verb, see `emit`."""
SOME_FAILED = 1
"""Exit code of a command that did what it was asked for in part."""
STOPPED = 130
"""Exit code of a command that was stopped from the keyboard."""


def emit(result: Mapping[str, Any], *, json: bool) -> None:
    """Write a verb's result as the last thing on stdout.

    With `json` it is exactly one line holding one JSON object; without, one `key: value` line per entry,
    indented where an entry holds others; a line each for those of a list.
    """
    if json:
        sys.stdout.write(json_module.dumps(_plain(result), allow_nan=False) + "\n")
    else:
        sys.stdout.writelines(_lines(result, ""))
    sys.stdout.flush()


def note(line: str) -> None:
    """Write a line for people to stderr, which leaves stdout to the result."""
    _stderr().print(line, markup=False, highlight=False, soft_wrap=True)


def error_line(message: str) -> None:
    """Write an error to stderr, red on a terminal, secrets redacted."""
    _stderr().print(f"error: {redact(message)}", style="red", markup=False, highlight=False, soft_wrap=True)


def _stderr() -> Console:
    # A new one each time: sys.stderr may have been replaced since.
    return Console(stderr=True)


def _plain(value: Any) -> Any:
    """JSON has no NaN and no infinity: they become null; NumPy scalars become numbers, other objects text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    return _plain(value.item()) if hasattr(value, "item") else str(value)


def _lines(entries: Mapping[str, Any], indent: str) -> Iterator[str]:
    for key, value in entries.items():
        if isinstance(value, Mapping) and any(isinstance(inner, Mapping) for inner in value.values()):
            yield f"{indent}{key}:\n"
            yield from _lines(value, indent + "  ")
        elif isinstance(value, list | tuple) and any(isinstance(inner, Mapping) for inner in value):
            yield f"{indent}{key}:\n"
            yield from (f"{indent}  {text(inner, between=', ')}\n" for inner in value)
        else:
            yield f"{indent}{key}: {text(value, between=', ')}\n"
