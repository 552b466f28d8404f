"""Rules about the shape of the source that no linter states."""

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).parent.parent / "distributed"
MODULES = sorted((SOURCE / "unetpp").rglob("*.py"))
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
MAX_FOLDER_MODULES = 18


def _name(path: Path) -> str:
    return str(path.relative_to(SOURCE))


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def test_comments_and_docstrings_name_modules_that_exist() -> None:
    dotted = {".".join(path.relative_to(SOURCE).with_suffix("").parts) for path in MODULES}
    dotted |= {".".join(path.relative_to(SOURCE).parent.parts) for path in MODULES}
    known = {path.name for path in MODULES}
    stale = []
    for path in MODULES:
        for note in _notes(path):
            files = re.findall(r"see (?:[\w/]+/)?(\w+\.py)", note)
            names = re.findall(r"`(unetpp(?:\.[a-z_]+)+)", note)
            stale += [(_name(path), file) for file in files if file not in known]
            stale += [(_name(path), name) for name in names if not {name, name.rpartition(".")[0]} & dotted]
    assert stale == []


def _notes(path: Path) -> Iterator[str]:
    """Texts and comments of a module."""
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
    yield from re.findall(r"#.*$", path.read_text(encoding="utf-8"), re.MULTILINE)


def test_source_root_is_no_package() -> None:
    assert not (SOURCE / "__init__.py").exists()


def test_parts_are_packages_with_a_docstring() -> None:
    parts = {path.parent for path in MODULES}
    assert [_name(part) for part in parts if not (part / "__init__.py").is_file()] == []
    assert [_name(path) for path in MODULES if not ast.get_docstring(_tree(path))] == []


def test_files_stay_below_the_cap() -> None:
    counts = {_name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert {name: count for name, count in counts.items() if count > MAX_FILE_LINES} == {}


def test_folders_stay_below_the_cap() -> None:
    counts = Counter(_name(path.parent) for path in MODULES)
    assert {name: count for name, count in counts.items() if count > MAX_FOLDER_MODULES} == {}


def test_functions_stay_below_the_cap() -> None:
    long = {
        f"{_name(path)}:{node.lineno} {node.name}": length
        for path in MODULES
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or node.lineno) - node.lineno + 1) > MAX_FUNCTION_LINES
    }
    assert long == {}


def test_public_modules_list_all_their_public_names() -> None:
    missing = {}
    for path in MODULES:
        if path.name.startswith("_"):
            continue
        tree = _tree(path)
        exported = {name for names in _assigned(tree, "__all__") for name in names}
        defined = {
            node.name
            for node in tree.body
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
        }
        if not exported or defined - exported:
            missing[_name(path)] = defined - exported
    assert missing == {}


def _assigned(tree: ast.Module, name: str) -> list[Any]:
    """Values of the module's literal assignments to a name."""
    return [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign)
        and any(isinstance(target, ast.Name) and target.id == name for target in node.targets)
    ]


def test_ray_is_imported_by_modules_whose_name_says_so() -> None:
    importers = {
        _name(path) for path in MODULES if any("ray" in _imported(node) for node in ast.walk(_tree(path)))
    }
    named = re.compile(r"unetpp/(launch/|.*/ray/|(.*/)?ray(_\w+)?\.py$|tuning/sweep\.py$)")
    assert len(importers) > 10
    assert [name for name in importers if not named.match(name)] == []


def test_private_interfaces_of_libraries_stand_in_compat() -> None:
    found = {
        f"{_name(path)}:{line} {text}"
        for path in MODULES
        if path.parent.name != "compat"
        for line, text in _private_uses(_tree(path))
    }
    assert found == set()


def _private_uses(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Imports of private modules and names, and private attributes that the module does not define itself."""
    own = {name for node in ast.walk(tree) for name in _defined(node)}
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [part for alias in node.names for part in alias.name.split(".")]
        elif isinstance(node, ast.ImportFrom):
            names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
        elif isinstance(node, ast.Attribute) and node.attr.startswith("_"):
            is_own = node.attr in own and ast.unparse(node.value) in ("self", "cls", "other", "super()")
            # The methods of a named tuple are public, whatever they begin with.
            names = [] if is_own or node.attr in ("_replace", "_asdict", "_fields") else [node.attr]
        elif isinstance(node, ast.Call) and _called(node) in ("getattr", "setattr", "hasattr"):
            names = [entry.value for entry in node.args if isinstance(entry, ast.Constant)]
        if any(name.startswith("_") and not name.endswith("__") for name in map(str, names)):
            yield node.lineno, ast.unparse(node)


def _called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else ""


def _defined(node: ast.AST) -> list[str]:
    """Names of methods and class attributes, and attributes that are set."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return [node.name]
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
        return [node.attr]
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        return [node.id]
    return []


@pytest.mark.parametrize(
    "source",
    [
        "from ray._private import services",
        "import ray._raylet",
        "from torch.nn.modules.batchnorm import _BatchNorm",
        "study._storage.get_trial(1)",
        "self._storage = study._storage",
        "tensor.untyped_storage()._cdata",
        "getattr(storage, '_get_trials')",
    ],
)
def test_private_uses_are_found(source: str) -> None:
    assert [*_private_uses(ast.parse(source))]


def test_private_names_of_ones_own_are_no_such_use() -> None:
    source = (
        "class A:\n    def __init__(self): self._x = 1\n    def _y(self, other): return self._x + other._y()"
    )
    assert [*_private_uses(ast.parse(source))] == []


def _imported(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Import):
        return {alias.name.split(".")[0] for alias in node.names}
    if isinstance(node, ast.ImportFrom) and node.module:
        return {node.module.split(".")[0]}
    return set()


@pytest.mark.parametrize(
    "statement",
    [
        "import unetpp",
        "import unetpp.config",
        "import unetpp.core.rundir",
        "from unetpp.cli.main import build_app; build_app()",
    ],
)
def test_import_in_a_fresh_process_loads_nothing_heavy(statement: str) -> None:
    heavy = ("torch", "ray", "monai", "matplotlib", "pyarrow", "s3fs")
    check = f"import sys; {statement}; print(*[name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
