"""A verb's command line taken apart and put together again, to run elsewhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import typer

__all__ = ["VerbCall", "parse_call"]


@dataclass(frozen=True)
class VerbCall:
    """A verb and the values of its parameters that were given."""

    words: tuple[str, ...]
    parameters: Mapping[str, Any]
    command: Any
    """The verb's typer command."""

    def arguments(self, parameters: Mapping[str, Any]) -> list[str]:
        """Command line arguments that the verb reads back as these values: options first."""
        options: list[str] = []
        positional: list[str] = []
        for parameter in self.command.params:
            value = parameters.get(parameter.name)
            if value is None or value is False:
                continue
            values = value if isinstance(value, list | tuple) else [value]
            if parameter.param_type_name == "argument":
                positional += map(str, values)
            elif value is True:
                options.append(parameter.opts[0])
            else:
                options += [text for entry in values for text in (parameter.opts[0], str(entry))]
        return [*options, *positional]


def parse_call(app: typer.Typer, tokens: Sequence[str]) -> VerbCall:
    """Check a verb's command line as the verb itself would; a mistake exits with its message.

    Raises:
        SystemExit: the command line is wrong, or asks for help.
    """
    command: Any = typer.main.get_command(app)
    context = command.make_context("unetpp", list(tokens[:1]), resilient_parsing=True)
    words: list[str] = []
    rest = list(tokens)
    while hasattr(command, "get_command"):
        child = command.get_command(context, rest[0]) if rest else None
        if child is None:
            return VerbCall((*words, *rest[:1]), {}, None)
        words.append(rest.pop(0))
        command = child
        if hasattr(command, "get_command"):
            context = command.make_context(words[-1], rest, parent=context, resilient_parsing=True)
    parsed = command.make_context(words[-1], rest, parent=context)
    return VerbCall(tuple(words), parsed.params, command)
