"""What people and their tools read at the top of the repository agrees with the code."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

import unetpp

ROOT = Path(__file__).parents[2]
FORMS = ("bug", "feature")


def _yaml(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


def test_version_is_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    released = re.findall(
        r"^## \[(\d\S*)\] - (\S+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE
    )
    citation = _yaml("CITATION.cff")
    assert released[0] == (citation["version"], str(citation["date-released"]))
    assert project["version"] == unetpp.__version__ == citation["version"]
    assert project["license"] == citation["license"]


def test_ci_runs_the_one_script_on_every_supported_python() -> None:
    job = _yaml(".github/workflows/ci.yml")["jobs"]["check"]
    oldest = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "requires-python"
    ]
    assert job["strategy"]["matrix"]["python"][0] == oldest.removeprefix(">=")
    assert job["steps"][-1]["run"] == ".ci/run"


def test_what_make_test_leaves_to_the_night_runs_each_night() -> None:
    workflow = _yaml(".github/workflows/nightly.yml")
    # YAML reads the key `on` as true.
    assert workflow[True]["schedule"]
    assert workflow["jobs"]["nightly"]["steps"][-1]["run"] == "make test-nightly"


@pytest.mark.parametrize("form", FORMS)
def test_issue_form_asks_distinct_questions(form: str) -> None:
    body = _yaml(f".github/ISSUE_TEMPLATE/{form}.yml")["body"]
    asked = [part["id"] for part in body if part["type"] != "markdown"]
    assert len(set(asked)) == len(asked) >= 3
    assert any(part.get("validations", {}).get("required") for part in body)


@pytest.mark.parametrize("page", ["SECURITY.md", "CHANGELOG.md"])
def test_links_inside_the_repository_lead_somewhere(page: str) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", (ROOT / page).read_text(encoding="utf-8"))
    assert [link for link in links if not (ROOT / link).exists()] == []
