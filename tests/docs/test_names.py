"""Options, fields and Python that pages name in their sentences and programs exist."""

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import typer

import unetpp
from unetpp.api.packing import PackRequest
from unetpp.cli.main import build_app
from unetpp.config.fields import dotted_fields
from unetpp.inference.batch import PredictOptions
from unetpp.inference.evaluation.options import evaluate_options
from unetpp.inference.robustness.disturbance import Disturbance

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *(ROOT / folder / "README.md" for folder in ("cluster", "search_spaces", "distributed/unetpp/data")),
]
_FENCES = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_SECTIONS = sorted({name.partition(".")[0] for name in dotted_fields() if "." in name})
_FIELD = re.compile(rf"(?:{'|'.join(_SECTIONS)})\.[a-z_0-9]+(?==|$)")
_PATHS = re.compile(r"\.(?:yaml|py|pt2|onnx|xml|bin|safetensors|sbatch|tif|\*)$")
_OF_OTHERS = {
    "--shm-size", "--labels", "--node-manager-port", "--object-manager-port", "--runtime-env-agent-port",
    "--dashboard-agent-grpc-port", "--min-worker-port", "--max-worker-port",
}  # fmt: skip
"""Options of Docker and of `ray start` that sentences name."""
OPTIONS_OF = {
    "pack": {field.name for field in fields(PackRequest)},
    "predict": {field.name for field in fields(PredictOptions)},
    "evaluate": {*inspect.signature(evaluate_options).parameters, *(f.name for f in fields(Disturbance))},
    "export": {"precision", "licence", "overwrite"},
}
"""What `**options` of a function takes."""


def sentences(page: Path) -> Iterator[str]:
    """The inline code of a page."""
    yield from _INLINE.findall(_FENCES.sub("", page.read_text(encoding="utf-8")))


def programs(page: Path) -> Iterator[str]:
    """Python in blocks, and calls in sentences."""
    text = page.read_text(encoding="utf-8")
    yield from re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    for block in re.findall(r"(?:^(?: {4}.*)?\n)+", text, re.MULTILINE):
        if "import unetpp" in block:
            yield inspect.cleandoc(block)
    yield from (code for code in sentences(page) if code.startswith("unetpp."))


def calls(program: str) -> Iterator[ast.Call]:
    """Calls of functions that `unetpp` offers."""
    for node in ast.walk(ast.parse(program)):
        if isinstance(node, ast.Call) and re.fullmatch(r"unetpp\.\w+", ast.unparse(node.func)):
            yield node


def bind(call: ast.Call) -> None:
    """
    Raises:
        TypeError: the function does not take these arguments.
        AttributeError: there is no such function.
    """
    name = ast.unparse(call.func).removeprefix("unetpp.")
    function: Any = getattr(unetpp, name)
    named = {str(keyword.arg): None for keyword in call.keywords}
    inspect.signature(function).bind(*call.args, **named)
    taken = inspect.signature(function).parameters
    unknown = named.keys() - taken.keys() - OPTIONS_OF.get(name, set())
    if unknown:
        raise TypeError(f"unetpp.{name} takes no {', '.join(sorted(unknown))}")


@pytest.fixture(scope="module")
def options() -> set[str]:
    """Of all verbs."""
    found: set[str] = {"--help"}
    waiting: list[Any] = [typer.main.get_command(build_app())]
    while waiting:
        command = waiting.pop()
        waiting += getattr(command, "commands", {}).values()
        found.update(name for each in command.params for name in (*each.opts, *each.secondary_opts))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_options_in_sentences_exist(page: Path, options: set[str]) -> None:
    named = {code.split()[0].partition("=")[0] for code in sentences(page) if code.startswith("--")}
    assert named - options - _OF_OTHERS == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_fields_in_sentences_exist(page: Path) -> None:
    named = {
        field
        for code in sentences(page)
        for word in code.split()
        for field in _FIELD.findall(word)
        if not _PATHS.search(word)
    }
    assert named - dotted_fields().keys() == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_python_of_a_page_calls_what_exists(page: Path) -> None:
    for program in programs(page):
        for call in calls(program):
            bind(call)


def test_python_is_found_in_blocks_and_sentences() -> None:
    found = [call for page in PAGES for program in programs(page) for call in calls(program)]
    assert {ast.unparse(call.func) for call in found} >= {
        "unetpp.pack", "unetpp.train", "unetpp.evaluate", "unetpp.load",
    }  # fmt: skip


@pytest.mark.parametrize("wrong", ["unetpp.fly()", "unetpp.pack('a', 'b', out='c', siz=3)", "unetpp.load()"])
def test_python_that_would_fail_is_noticed(wrong: str) -> None:
    (call,) = calls(wrong)
    with pytest.raises((TypeError, AttributeError)):
        bind(call)
