"""A checkpoint exists once its manifest does, is verified when read, and a broken one is passed over."""

import pytest

from unetpp.core.checkpoints import CheckpointStore
from unetpp.core.errors import CheckpointError
from unetpp.core.storage import open_storage


@pytest.fixture
def store(tmp_path):
    return CheckpointStore(open_storage(str(tmp_path)))


def save(store, *steps):
    for step in steps:
        store.save(step, {"model": b"weights %d" % step, "state": b"{}"})


def test_latest_returns_what_was_saved_last(store):
    save(store, 3, 10, 200)
    assert store.steps() == [3, 10, 200]
    assert store.latest() == (200, {"model": b"weights 200", "state": b"{}"})


def test_latest_nothing_saved_is_none(store):
    assert store.latest() is None
    assert store.best() is None


@pytest.mark.parametrize("damage", ["flip", "cut", "delete", "no manifest", "torn manifest"])
def test_latest_damaged_checkpoint_falls_back_to_the_previous(store, tmp_path, damage):
    save(store, 1, 2)
    folder = tmp_path / "step-00000002"
    target = folder / ("manifest.json" if "manifest" in damage else "model")
    data = target.read_bytes()
    if damage in ("delete", "no manifest"):
        target.unlink()
    else:
        target.write_bytes(bytes([data[0] ^ 1]) + data[1:] if damage == "flip" else data[:-3])
    assert store.latest() == (1, {"model": b"weights 1", "state": b"{}"})


def test_load_damaged_file_names_it(store, tmp_path):
    save(store, 5)
    (tmp_path / "step-00000005" / "model").write_bytes(b"other")
    with pytest.raises(CheckpointError, match="model differs from its sha256"):
        store.load(5)


def test_thin_out_keeps_the_newest_and_the_best(store):
    save(store, 1, 2, 3, 4)
    store.mark_best(1, 0.9)
    store.thin_out(keep_latest=2)
    assert store.steps() == [1, 3, 4]
    assert store.best() == (1, {"model": b"weights 1", "state": b"{}"})


def test_best_damaged_falls_back_to_the_newest(store, tmp_path):
    save(store, 1, 2)
    store.mark_best(1, 0.9)
    (tmp_path / "step-00000001" / "model").write_bytes(b"")
    found = store.best()
    assert found is not None
    assert found[0] == 2


def test_save_again_replaces_remains_of_a_cut_attempt(store, tmp_path):
    (tmp_path / "step-00000007").mkdir()
    (tmp_path / "step-00000007" / "leftover").write_bytes(b"x")
    save(store, 7)
    assert set(store.load(7)) == {"model", "state"}
    assert not (tmp_path / "step-00000007" / "leftover").exists()
