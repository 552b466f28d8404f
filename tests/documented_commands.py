"""The commands of `unetpp` that a Markdown text shows, and the check that the program takes them."""

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import typer

from unetpp.cli.remote.verb_call import parse_call
from unetpp.cli.verbs.train import split_arguments
from unetpp.config import load_config

__all__ = ["Shown", "check", "commands_in"]

_CODE = re.compile(r"^```\w*\n(.*?)^```|((?:^ {4}.*\n?)+)|`(unetpp [^`\n]+)`", re.MULTILINE | re.DOTALL)
_ENDS = ("|", "||", "&&", ";", ">")


@dataclass(frozen=True)
class Shown:
    """A command without the word `unetpp`; one that is only mentioned in a sentence may lack arguments."""

    arguments: tuple[str, ...]
    mentioned: bool = False

    def __str__(self) -> str:
        return " ".join(self.arguments)


def commands_in(text: str) -> Iterator[Shown]:
    """Every `unetpp ...` in the fenced, indented and inline code of a text."""
    for found in _CODE.finditer(text):
        mentioned = found.group(3) is not None
        code = next(part for part in found.groups() if part).replace("\\\n", " ")
        for line in code.splitlines():
            if "unetpp " in line:
                yield from (Shown(arguments, mentioned) for arguments in _in_line(line))


def check(app: typer.Typer, shown: Shown) -> None:
    """Parse a command with the application's own parser, and its overrides as configuration.

    Raises:
        ValueError: verb, option, value or field is none that the program takes.
    """
    try:
        _parse(app, shown.arguments)
    except (Exception, SystemExit) as error:
        if not (shown.mentioned and type(error).__name__ == "MissingParameter"):
            raise ValueError(f"unetpp {shown}: {error}") from error


def _parse(app: typer.Typer, arguments: Sequence[str]) -> None:
    call = parse_call(app, arguments)
    if call.command is None:
        raise ValueError("no such verb")
    given = call.parameters.get("arguments") or call.parameters.get("overrides") or ()
    load_config(None, split_arguments(list(given))[1])
    if call.words == ("submit",):
        _parse(app, call.parameters["command"])


def _in_line(line: str) -> Iterator[tuple[str, ...]]:
    words: list[str] = []
    for word in [*shlex.split(line, comments=True), "&&"]:
        if word not in _ENDS:
            words.append(word)
            continue
        if "unetpp" in words:
            yield tuple(words[words.index("unetpp") + 1 :])
        words = []
