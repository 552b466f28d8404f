"""unetpp config: the effective configuration, a preset or the schema."""

import json as json_module
import sys
from typing import Annotated

import typer

from unetpp.cli.terminal.output import Json, emit
from unetpp.cli.verbs.train import split_arguments
from unetpp.core.errors import ConfigError

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb."""

    @app.command()
    def config(
        arguments: Annotated[
            list[str] | None,
            typer.Argument(metavar="[CONFIG.yaml] key=value ...", help="A YAML file, then overrides."),
        ] = None,
        preset: Annotated[str, typer.Option(help="Start from baseline, paper or smoke.")] = "",
        schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema of the file.")] = False,
        json: Json = False,
    ) -> None:
        """Print a complete configuration as YAML, checked, with every default."""
        if schema:
            _print_schema(json=json)
        else:
            _print_config(arguments or [], preset, json=json)


def _print_schema(*, json: bool) -> None:
    from unetpp.config import json_schema

    if json:
        emit(json_schema(), json=True)
    else:
        sys.stdout.write(json_module.dumps(json_schema(), indent=2) + "\n")


def _print_config(arguments: list[str], preset: str, *, json: bool) -> None:
    from unetpp.config import PRESETS, dump_yaml, load_config, replace
    from unetpp.config.load import parse_override

    path, overrides = split_arguments(arguments)
    if not preset:
        made = load_config(path, overrides)
    elif path is not None:
        raise ConfigError(f"--preset and a file exclude each other; leave out {path} or --preset {preset}")
    elif preset not in PRESETS:
        raise ConfigError(f"--preset must be one of {', '.join(PRESETS)}; it is {preset!r}")
    else:
        made = replace(PRESETS[preset](), dict(parse_override(text) for text in overrides))
    if json:
        emit(made.model_dump(mode="json"), json=True)
    else:
        sys.stdout.write(dump_yaml(made))
