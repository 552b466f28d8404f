"""Assembles the verbs and maps outcomes to exit codes.

0 success; 2 a user's mistake; 130 stopped from the keyboard; 1 anything else, also what was done in part.
"""

import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

import unetpp
from unetpp.cli.terminal.output import STOPPED, error_line, note
from unetpp.core.errors import UnetppError, UserError
from unetpp.core.logs import redact
from unetpp.core.process_memory import spare_lasting_objects
from unetpp.core.waiting_threads import wait_passively

__all__ = ["build_app", "main", "run"]

_VERBS = (
    "demo",
    "doctor",
    "config",
    "plan",
    "data",
    "train",
    "tune",
    "evaluate",
    "predict",
    "serve",
    "export",
    "report",
    "compare",
    "submit",
    "jobs",
    "cluster",
    "dashboard",
)
_VERBS_OF_FIELDS = {"train", "tune", "plan", "config"}
"""Verbs that take key=value."""
_DEBUG_FLAG = "--debug"
_DEBUG_VARIABLE = "UNETPP_DEBUG"


def main() -> None:
    """Entry point of the `unetpp` script."""
    spare_lasting_objects()
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; `--debug` may stand anywhere."""
    if _DEBUG_FLAG in arguments:
        os.environ[_DEBUG_VARIABLE] = "1"  # inherited by worker processes
    wait_passively()
    try:
        build_app()([argument for argument in arguments if argument != _DEBUG_FLAG])
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        if code == STOPPED:
            error_line("stopped")
        if code == UserError.exit_code:
            _tell_fields_from_options(arguments)
        return code
    except KeyboardInterrupt:
        error_line("stopped")
        return STOPPED
    except UnetppError as error:
        _show_traceback_in_debug(error)
        error_line(str(error))
        return error.exit_code
    except Exception as error:
        if not _show_traceback_in_debug(error):
            note(f"not expected: {_DEBUG_FLAG} shows where it happened, `unetpp doctor` checks this machine")
        first_line = next(iter(str(error).strip().splitlines()), "")
        error_line(f"{type(error).__name__}: {first_line}")
        return 1
    return 0


def _tell_fields_from_options(arguments: Sequence[str]) -> None:
    """Click knows no more of a field with dashes than that it is no option."""
    if not _VERBS_OF_FIELDS.intersection(arguments[:2]):
        return
    from unetpp.config.fields import dotted_fields

    for argument in arguments:
        name = argument.removeprefix("--").partition("=")[0]
        if argument.startswith("--") and name in dotted_fields():
            note(f"{name} is a field of the configuration: write {name}=VALUE, without dashes")


def build_app() -> typer.Typer:
    """A new application with every verb registered."""
    app = typer.Typer(
        name="unetpp",
        help="Nested U-Net (UNet++) segmentation: pack a dataset, train on a Ray cluster, evaluate, predict.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # help texts hold [key=value ...], which is no markup
    )
    app.callback()(_options)
    for verb in _VERBS:
        importlib.import_module(f"unetpp.cli.verbs.{verb}").register(app)
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"{unetpp.__version__}\n")
        raise typer.Exit


def _options(
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
    _debug: Annotated[bool, typer.Option(_DEBUG_FLAG, help="Show tracebacks; may stand anywhere.")] = False,
) -> None:
    """Options of every verb; `run` takes `--debug` out beforehand, it is here for the help text."""


def _show_traceback_in_debug(error: Exception) -> bool:
    if os.environ.get(_DEBUG_VARIABLE, "0") in ("", "0"):
        return False
    note(redact("".join(traceback.format_exception(error))).rstrip())
    return True
