"""The private interfaces in `compat` are looked at again when a library's pin moves."""

import re
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest

_CONSTRAINTS = Path(__file__).parents[2] / "constraints.txt"
_COMPAT = _CONSTRAINTS.parent / "distributed" / "unetpp" / "compat"
_MODULES = sorted(path.stem for path in _COMPAT.glob("[a-z]*.py"))


def test_every_library_has_a_module() -> None:
    assert _MODULES == ["optuna", "ray", "ray_train", "torch"]


@pytest.mark.parametrize("module", _MODULES)
def test_pinned_version_is_the_checked_one(module: str) -> None:
    library, checked = module.partition("_")[0], import_module(f"unetpp.compat.{module}").CHECKED_VERSION
    pin = re.search(rf"^{library}==(\S+)$", _CONSTRAINTS.read_text(), re.MULTILINE)
    pinned = None if pin is None else pin[1]
    assert pinned == checked, (
        f"constraints.txt pins {library} {pinned}, unetpp/compat/{module}.py was checked with {checked}: "
        "read what its docstring names in the new release, run tests/compat with it, set CHECKED_VERSION"
    )


@pytest.mark.parametrize("module", _MODULES)
def test_installed_version_is_the_pinned_one(module: str) -> None:
    library = module.partition("_")[0]
    # After the plus: what torch was built for.
    assert version(library).partition("+")[0] == import_module(f"unetpp.compat.{module}").CHECKED_VERSION, (
        f"tests run with another {library} than is pinned: pip install -c constraints.txt {library}"
    )
