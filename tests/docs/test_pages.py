import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

import unetpp
from documented_commands import Shown, check, commands_in
from unetpp.cli.main import build_app

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
SHOWN = [
    pytest.param(shown, id=f"{page.stem}: {shown}")
    for page in PAGES
    for shown in commands_in(page.read_text(encoding="utf-8"))
]


@pytest.fixture(scope="module")
def app() -> typer.Typer:
    return build_app()


@pytest.fixture(scope="module")
def texts() -> str:
    """All string literals of the package, values in them left out."""
    return "\n".join(
        " ".join(literal.split())
        for source in Path(unetpp.__path__[0]).rglob("*.py")
        for literal in _literals(ast.parse(source.read_text(encoding="utf-8")))
    )


@pytest.mark.parametrize("shown", SHOWN)
def test_shown_command_is_one_the_program_takes(app: typer.Typer, shown: Shown) -> None:
    check(app, shown)


def test_commands_are_found_in_every_kind_of_code() -> None:
    text = (
        "Use `unetpp doctor`.\n\n    unetpp train a=1 \\\n        b=2   # why\n\n"
        "```bash\nX=1 unetpp data stats d | head\n```\n"
    )
    assert list(commands_in(text)) == [
        Shown(("doctor",), mentioned=True),
        Shown(("train", "a=1", "b=2")),
        Shown(("data", "stats", "d")),
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        "fly",
        "train model.dept=3",
        "train train.epochs=0",
        "export RUN",
        "export RUN --fly",
        "submit train a=1",
    ],
)
def test_command_that_would_fail_is_noticed(app: typer.Typer, wrong: str) -> None:
    with pytest.raises(ValueError, match=f"unetpp {wrong}"):
        check(app, Shown(tuple(wrong.split())))


def test_pages_name_no_place_inside_the_package() -> None:
    named = {page.name: re.findall(r"distributed/\S+", page.read_text(encoding="utf-8")) for page in PAGES}
    assert {page: places for page, places in named.items() if places} == {}


def test_pages_name_files_of_the_repository_that_exist() -> None:
    named = re.compile(r"`((?:cluster|search_spaces|benchmarks)/[\w./-]+)`")
    files = {name for page in PAGES for name in named.findall(page.read_text(encoding="utf-8"))}
    assert len(files) >= 10
    assert [name for name in sorted(files) if not (ROOT / name).exists()] == []


def test_promises_name_tests_that_exist() -> None:
    subjects = re.findall(r"`(test_\w+)`", (ROOT / "docs" / "promises.md").read_text(encoding="utf-8"))
    sources = list((ROOT / "tests").rglob("test_*.py"))
    known = {name for path in sources for name in re.findall(r"def (test_\w+)", path.read_text("utf-8"))}
    assert len(subjects) >= 30
    assert [subject for subject in subjects if subject not in known] == []


@pytest.mark.slow
def test_troubleshooting_explains_messages_that_the_program_has(texts: str) -> None:
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8").partition("\n## Slow")[0]
    messages = re.findall(r"^\| `([^`]+)`", page, re.MULTILINE)
    fixed = {
        message: max(re.split(r"<\w+>|[\w.]+=<\w+>", message), key=len).strip(" ;:'") for message in messages
    }
    assert len(messages) >= 60
    assert [message for message, words in fixed.items() if words not in texts] == []


def _literals(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            parts = (part.value if isinstance(part, ast.Constant) else "\0" for part in node.values)
            yield "".join(map(str, parts))
