"""An epoch's last batch that does not divide by the ranks leaves the run that of one rank. Without Ray."""

import pytest
import torch

from fakes import LocalSession, start_run, tiny_config, train, write_dataset
from ranks import run_ranks
from unetpp.core.rundir import RunDir
from unetpp.training.run.job import TrainJob

WORLD = 2


def run_rank(rank: int, job: TrainJob) -> None:
    torch.set_num_threads(1)
    train(job, LocalSession(rank=rank, world_size=WORLD))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "rows",
    [13, pytest.param(15, marks=pytest.mark.nightly)],
    ids=["a rank without", "a rank with one of two"],
)
def test_batch_norm_over_two_ranks_in_an_uneven_last_batch_is_that_of_one(tmp_path, rows):
    uri = str(tmp_path / "data")
    manifest = write_dataset(uri, {"train": rows, "val": 3})
    config = tiny_config(
        uri, model={"norm": "batch"}, train={"sync_bn": True}, optim={"name": "sgd", "lr": 0.05}
    )
    one, two = (
        start_run(config.model_copy(update={"out": str(tmp_path / name)}), manifest) for name in ("1", "2")
    )
    train(one)
    assert run_ranks(WORLD, tmp_path / "store", run_rank, two) == {0}
    curves = [
        [(epoch["loss"], epoch["val"]["dice"]) for epoch in RunDir(job.run_uri).read_metrics()]
        for job in (one, two)
    ]
    for found, expected in zip(curves[1], curves[0], strict=True):
        assert found == pytest.approx(expected, rel=1e-4)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("val_rows", [1, pytest.param(3, marks=pytest.mark.nightly)])
def test_minutes_of_two_ranks_end_together_validated(tmp_path, val_rows):
    uri = str(tmp_path / "data")
    manifest = write_dataset(uri, {"train": 13, "val": val_rows})
    config = tiny_config(uri, train={"minutes": 0.02}).model_copy(update={"out": str(tmp_path / "run")})
    job = start_run(config, manifest)
    assert run_ranks(WORLD, tmp_path / "store", run_rank, job) == {0}
    last = RunDir(job.run_uri).read_metrics()[-1]
    assert last["finished"]
    assert last["val"]["dice"] >= 0
    assert RunDir(job.run_uri).checkpoints.best() is not None
