"""Two ranks learn an encoder, frozen at first, as one does. Without Ray."""

import pytest
import safetensors.torch
import torch

from fakes import LocalSession, final_weights, start_run, tiny_config, train
from ranks import run_ranks
from unetpp.training.run.job import TrainJob

WORLD = 2


def run_rank(rank: int, job: TrainJob) -> None:
    train(job, LocalSession(rank=rank, world_size=WORLD))


def job_for(tmp_path, dataset, name: str, workers: int) -> TrainJob:
    uri, manifest = dataset
    config = tiny_config(
        uri,
        model={"encoder": "lite0", "stem_stride": 2, "depth": 1},
        train={"epochs": 2, "freeze": 1},
        optim={"name": "sgd", "lr": 0.01},
        scale={"workers": workers},
    )
    return start_run(config.model_copy(update={"out": str(tmp_path / name)}), manifest)


@pytest.mark.slow
def test_two_ranks_learn_what_one_learns(tmp_path, dataset):
    alone, shared = job_for(tmp_path, dataset, "alone", 1), job_for(tmp_path, dataset, "shared", WORLD)
    train(alone)
    assert run_ranks(WORLD, tmp_path / "store", run_rank, shared) == {0}
    found, expected = (
        safetensors.torch.load(final_weights(job)["model.safetensors"]) for job in (shared, alone)
    )
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, atol=1e-4, rtol=1e-3, msg=name)
