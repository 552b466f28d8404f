"""Every rank starts from the checkpoint of rank 0, or none starts. Two gloo ranks, without Ray."""

import json
from pathlib import Path

import pytest
import torch

from ranks import run_ranks
from unetpp.core.checkpoints import CheckpointStore
from unetpp.core.errors import CheckpointError
from unetpp.core.storage import open_storage
from unetpp.training.run.checkpoint import agreed_checkpoint

_WORLD = 2


def save(folder: Path, *steps: int, run: str = "a") -> None:
    for step in steps:
        CheckpointStore(open_storage(folder)).save(
            step, {"state.json": json.dumps({"step": step, "run": run}).encode()}
        )


def _rank(rank: int, nodes: Path, out: Path) -> None:
    folder = nodes / f"node-{rank}"
    try:
        found = agreed_checkpoint(CheckpointStore(open_storage(folder)), rank, torch.device("cpu"))
        answer = str(None if found is None else found[0])
    except CheckpointError as error:
        answer = str(error)
    (out / str(rank)).write_text(answer)


def agree(tmp_path: Path) -> list[str]:
    """What two ranks with the node-local folders 0 and 1 answer."""
    folder = tmp_path / "answers"
    folder.mkdir()
    run_ranks(_WORLD, tmp_path / "rendezvous", _rank, tmp_path, folder)
    return [(folder / str(rank)).read_text() for rank in range(_WORLD)]


@pytest.mark.slow
def test_ranks_with_different_checkpoints_all_take_that_of_rank_0(tmp_path):
    save(tmp_path / "node-0", 10)
    save(tmp_path / "node-1", 10, 20)
    assert agree(tmp_path) == ["10", "10"]


@pytest.mark.slow
@pytest.mark.parametrize("other", [{}, {"steps": (10,), "run": "b"}])
def test_rank_without_the_checkpoint_of_rank_0_ends_all_of_them(tmp_path, other):
    save(tmp_path / "node-0", 10)
    save(tmp_path / "node-1", *other.get("steps", (5,)), run=other.get("run", "a"))
    here, there = agree(tmp_path)
    for answer in (here, there):
        assert "the checkpoint of step 10 that rank 0 has" in answer
        assert "out= must be a folder that all nodes share" in answer


def test_one_rank_takes_its_newest(tmp_path):
    store = CheckpointStore(open_storage(tmp_path))
    assert agreed_checkpoint(store, 0, torch.device("cpu")) is None
    save(tmp_path, 10, 20)
    found = agreed_checkpoint(store, 0, torch.device("cpu"))
    assert found is not None
    assert found[0] == 20
