"""Paths of a command line: files travel, places are absolute or refused."""

import pytest

from unetpp.core.errors import UserError
from unetpp.launch.submit.paths import SUBMITTABLE, JobPaths, relocate


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_config_file_travels_and_overrides_stay(here):
    (here / "c.yaml").write_text("train: {epochs: 2}")
    decide = JobPaths(same_machine=False)
    parameters = {"arguments": ["c.yaml", "train.epochs=3", "out=s3://b/r"]}
    changed = relocate(SUBMITTABLE["train",], parameters, decide)
    assert changed["arguments"] == ["inputs/0/c.yaml", "train.epochs=3", "out=s3://b/r"]
    assert decide.inputs.keys() == {"inputs/0/c.yaml"}


def test_search_space_travels_with_the_files_beside_it(here):
    for name in ("space.py", "loss.py", "unrelated.py"):
        (here / name).write_text("")
    decide = JobPaths(same_machine=False, neighbours=["loss.py"])
    changed = relocate(SUBMITTABLE["tune",], {"space": here / "space.py", "arguments": None}, decide)
    assert changed == {"space": "inputs/0/space.py", "arguments": []}
    assert decide.inputs.keys() == {"inputs/0/space.py", "inputs/0/loss.py"}


def test_files_of_the_same_name_are_told_apart(here):
    for folder in ("a", "b"):
        (here / folder).mkdir()
        (here / folder / "x.txt").write_text(folder)
    decide = JobPaths(same_machine=False)
    assert decide.ship("a/x.txt") != decide.ship("b/x.txt")
    assert [path.read_text() for path in decide.inputs.values()] == ["a", "b"]


def test_relative_place_on_this_machine_becomes_absolute(here):
    parameters = {
        "images": ["train=im", "val=iv"],
        "masks": ["m"],
        "out": "d",
        "classes": None,
        "group": r"\w+",
    }
    changed = relocate(SUBMITTABLE["data", "pack"], parameters, JobPaths(same_machine=True))
    assert changed["images"] == [f"train={here}/im", f"val={here}/iv"]
    assert changed["masks"] == [f"{here}/m"]
    assert changed["out"] == f"{here}/d"
    assert changed["group"] == r"\w+"


@pytest.mark.parametrize("place", ["runs/latest", "data", "."])
def test_relative_place_for_another_machine_is_refused(place):
    with pytest.raises(UserError, match="path of this machine"):
        JobPaths(same_machine=False).place(place)


@pytest.mark.parametrize("place", ["s3://b/x", "/shared/x"])
def test_place_that_all_machines_know_stays(place):
    assert JobPaths(same_machine=False).place(place) == place


def test_large_file_does_not_travel(here):
    (here / "big.csv").write_bytes(b"0" * (5 * 2**20))
    with pytest.raises(UserError, match="must be below"):
        JobPaths(same_machine=True).ship("big.csv")
