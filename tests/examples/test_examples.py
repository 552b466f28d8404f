"""The examples, run as a reader runs them."""

import ast
import runpy
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
PROGRAMS = sorted(EXAMPLES.glob("*.py"))
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
MAX_LINES = 80

SAID = {
    "own_callback": ["epochs 1 to 10", "epoch 1: Dice", "stopped after"],
    "own_data": ["rows: train=36, val=12, test=12", "split: test", "disc000: Prediction 64 x 64"],
    "text_as_image": ["rows: train=56, val=16, test=8", "EvaluateResult", "digits drawn in columns [("],
    "own_search_space": ["TuneResult", "pareto: trial", "EvaluateResult"],
}


def _program(path: Path) -> Any:
    """The longest is run at night."""
    marks = [pytest.mark.nightly] if path.stem == "text_as_image" else []
    return pytest.param(path, marks=marks, id=path.stem)


def read(notebook: Path) -> Any:
    return nbformat.read(notebook, as_version=4)


def test_every_example_is_listed_and_run() -> None:
    page = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in [*PROGRAMS, *NOTEBOOKS] if f"[{path.name}]({path.name})" not in page] == []
    assert set(SAID) == {path.stem for path in PROGRAMS}


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_program_is_short_says_how_to_run_it_and_stands_in_the_pages(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert len(source.splitlines()) < MAX_LINES
    assert f"python examples/{path.name}" in (ast.get_docstring(ast.parse(source)) or "")
    pages = (ROOT / "docs" / "examples.md").read_text(encoding="utf-8")
    assert f'--8<-- "examples/{path.name}"' in pages


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_kept_without_outputs(path: Path) -> None:
    kept = read(path)
    nbformat.validate(kept)
    code = [cell for cell in kept.cells if cell.cell_type == "code"]
    assert [cell.id for cell in code if cell.outputs or cell.execution_count is not None] == []


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("path", [_program(path) for path in PROGRAMS])
def test_program_does_what_it_says(path: Path, ray_cluster, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    runpy.run_path(str(path), run_name="__main__")
    said = capsys.readouterr().out
    assert [text for text in SAID[path.stem] if text not in said] == []


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs_and_shows_tables_curves_and_masks(path: Path, tmp_path) -> None:
    notebook = read(path)
    NotebookClient(notebook, timeout=200, resources={"metadata": {"path": tmp_path}}).execute()
    shown = "".join(
        output.get("data", {}).get("text/html", "")
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
    )
    assert all(part in shown for part in ("epoch   4/4", "<table>", "<svg", "data:image/png", "60/60"))
    errors = [o.text for c in notebook.cells for o in c.get("outputs", []) if o.get("name") == "stderr"]
    assert errors == []
