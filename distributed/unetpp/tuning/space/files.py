"""A search space's source files: read, kept together, and run again anywhere."""

import ast
import difflib
import hashlib
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import optuna

from unetpp.core.errors import ConfigError, InputError

__all__ = [
    "SourceFile",
    "SpaceFunction",
    "difference",
    "digest",
    "execute",
    "joined_source",
    "read_sources",
    "user_line",
]

SourceFile = tuple[str, str]
"""File name and text."""
SpaceFunction = Callable[[optuna.trial.BaseTrial], Any]


def read_sources(path: Path) -> tuple[SourceFile, ...]:
    """The space file first, then the neighbours that it names in whole, such as "loss.py".

    Raises:
        InputError: the file is missing or no text.
        ConfigError: a file has a syntax error.
    """
    found: dict[str, str] = {}
    names = [path.name]
    for name in names:
        file = path.with_name(name)
        if name in found or (found and not file.is_file()):
            continue
        found[name] = _read(file)
        names += sorted(_python_names(found[name], file))
    return tuple(found.items())


def digest(files: Sequence[SourceFile]) -> str:
    """sha256 of the file; of several, over each name and text."""
    if len(files) == 1:
        return hashlib.sha256(files[0][1].encode()).hexdigest()
    return hashlib.sha256("".join(f"{name}\0{text}\0" for name, text in files).encode()).hexdigest()


def joined_source(files: Sequence[SourceFile]) -> str:
    """Text of the space file; neighbours follow under a line with their name."""
    return "\n".join([files[0][1], *(f"# --- {name}\n{text}" for name, text in files[1:])])


def difference(before: str, now: str, name: str) -> str:
    """Lines that differ between a study's space and another one, called `name`."""
    lines = (before.splitlines(), now.splitlines())
    return "\n".join(difflib.unified_diff(*lines, "space of the study", name, lineterm="", n=1))


def execute(path: Path, files: Sequence[SourceFile]) -> SpaceFunction:
    """Run the space file and return its function.

    Where the files on disk are not those given, on another machine for instance, a copy of them is run.

    Raises:
        ConfigError: the file raises, or defines no `space`.
    """
    if _on_disk(path, files):
        return _run(path, files[0][1])
    with tempfile.TemporaryDirectory(prefix="unetpp-space-") as folder:
        for name, text in files:
            (Path(folder) / name).write_text(text, encoding="utf-8", newline="")
        return _run(Path(folder) / path.name, files[0][1])


def user_line(error: BaseException, names: Sequence[str]) -> str:
    """ "file:line" of the innermost frame inside the space's files."""
    where = names[0]
    trace = error.__traceback__
    while trace is not None:
        name = Path(trace.tb_frame.f_code.co_filename).name
        if name in names:
            where = f"{name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return where


def _run(file: Path, text: str) -> SpaceFunction:
    scope: dict[str, Any] = {"__name__": f"search_space_{file.stem}", "__file__": str(file)}
    try:
        exec(compile(text, str(file), "exec"), scope)
    except Exception as error:
        where = user_line(error, [file.name])
        raise ConfigError(
            f"{where}: the space file must load; it raised {type(error).__name__}: {error}"
        ) from error
    function = scope.get("space")
    if not callable(function):
        raise ConfigError(
            f"{file} must define space(trial); it does not; add `def space(trial): return {{...}}`"
        )
    found: SpaceFunction = function
    return found


def _on_disk(path: Path, files: Sequence[SourceFile]) -> bool:
    try:
        return all(_read(path.with_name(name)) == text for name, text in files)
    except InputError:
        return False


def _read(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8")
    except OSError as error:
        raise InputError(f"no search space at {file}; give the path of a file with space(trial)") from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"{file} must be a Python file in UTF-8; it is not; give a file with space(trial)"
        ) from error


def _python_names(text: str, file: Path) -> set[str]:
    try:
        tree = ast.parse(text, str(file))
    except (SyntaxError, ValueError) as error:
        line = f":{error.lineno}" if isinstance(error, SyntaxError) else ""
        raise ConfigError(f"{file.name}{line}: the space file must be valid Python: {error}") from error
    constants = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return {
        text
        for text in constants
        if isinstance(text, str) and text.endswith(".py") and Path(text).name == text
    }
