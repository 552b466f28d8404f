import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from unetpp.config import json_schema
from unetpp.config.fields import dotted_fields

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference", DOCS / "hooks" / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows(text: str) -> dict[str, list[str]]:
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| <span")]
    return {re.sub(r"<.*?>|`", "", cells[0]): cells[1:] for cells in lines}


def test_fields_every_one_has_a_value_a_default_and_a_sentence(reference: ModuleType) -> None:
    found = rows(reference.fields())
    assert list(found) == list(dotted_fields())
    assert [key for key, cells in found.items() if len(cells) != 3 or not all(cells)] == []
    assert [key for key, cells in found.items() if not cells[2].endswith(".")] == []


def test_fields_every_number_says_its_range(reference: ModuleType) -> None:
    numbers = {
        key: cells
        for key, cells in rows(reference.fields()).items()
        if "integer" in cells[0] or "number" in cells[0]
    }
    unbounded = re.compile(r"(integer|number)(?!, (\d|above|at least))")
    assert {key: cells[0] for key, cells in numbers.items() if unbounded.search(cells[0])} == {}


def test_commands_every_verb_has_a_heading(reference: ModuleType) -> None:
    headings = re.findall(r"^## (.*)$", reference.commands(), re.MULTILINE)
    assert {"unetpp train", "unetpp data pack", "unetpp cluster render", "unetpp jobs logs"} <= set(headings)
    usages = re.findall(r"Usage: (unetpp(?: [a-z]+)*)", reference.commands())
    assert usages == headings


@pytest.mark.parametrize(("page", "marker"), [("configuration", "fields"), ("commands", "commands")])
def test_page_with_a_marker_is_filled(reference: ModuleType, page: str, marker: str) -> None:
    source = (DOCS / "reference" / f"{page}.md").read_text(encoding="utf-8")
    built = reference.on_page_markdown(source)
    assert f"<!-- {marker} -->" in source
    assert "<!--" not in built
    assert len(built) > 5 * len(source)


def test_schema_descriptions_are_whole_sentences() -> None:
    sections = json_schema()["$defs"].values()
    texts = [field["description"] for section in sections for field in section["properties"].values()]
    assert [text for text in texts if not text[0].isupper() and not text[0].isdigit()] == []
