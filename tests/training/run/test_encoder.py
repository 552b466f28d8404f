"""A run on a pretrained encoder starts from its weights, which the run's folder keeps."""

import pytest
import safetensors.torch
import torch

from fakes import LocalSession, final_weights, start_run, tiny_config, train
from unetpp.core.errors import ConfigError
from unetpp.core.rundir import RunDir
from unetpp.inference.engines.weights import load_exported
from unetpp.inference.export import export_run
from unetpp.models.encoders import lite_weights
from unetpp.models.initial import initial_weights
from unetpp.models.load import load_run
from unetpp.training.run.job import TrainJob

ENCODED = {"model": {"encoder": "lite0", "stem_stride": 2, "depth": 1, "dropout": 0.1}}


def job_for(tmp_path, dataset, name, **sections) -> TrainJob:
    uri, manifest = dataset
    config = tiny_config(uri, **ENCODED | sections).model_copy(update={"out": str(tmp_path / name)})
    return start_run(config, manifest)


def weights_of(job: TrainJob) -> dict[str, torch.Tensor]:
    return safetensors.torch.load(final_weights(job)["model.safetensors"])


def without_package(monkeypatch) -> None:
    monkeypatch.setattr(lite_weights.importlib.util, "find_spec", lambda _: None)


def test_run_starts_from_the_published_weights_and_learns_them_slower(tmp_path, dataset):
    optim = {"name": "sgd", "lr": 1e-9, "momentum": 0.0, "weight_decay": 0.0}
    job = job_for(tmp_path, dataset, "run", optim=optim, train={"epochs": 1})
    train(job)
    published, learned = initial_weights(job.config.model, job.manifest, "").weights, weights_of(job)
    for name, tensor in published.items():
        torch.testing.assert_close(learned[name], tensor)
    assert {name for name in learned if name.startswith("encoder.")} == set(published)


def test_run_goes_on_predicts_and_exports_without_the_package(tmp_path, dataset, monkeypatch):
    job = job_for(tmp_path, dataset, "run", train={"epochs": 1})
    without_package(monkeypatch)
    assert train(job).finished
    run = load_run(job.run_uri)
    images = torch.rand(1, 1, 21, 30) * 255
    out = tmp_path / "model.safetensors"
    assert export_run(job.run_uri, out)["max_abs_diff"] == 0.0
    expected = run.model(run.normalise(images)).levels[-1]
    assert torch.equal(load_exported(out)(images), expected)


def test_run_without_the_package_is_refused_before_its_folder_is_claimed(tmp_path, dataset, monkeypatch):
    without_package(monkeypatch)
    with pytest.raises(ConfigError, match="pip install"):
        job_for(tmp_path, dataset, "run")
    assert not RunDir(str(tmp_path / "run")).exists()


@pytest.mark.parametrize("stop_after", [1, pytest.param(7, marks=pytest.mark.slow)])
def test_resume_is_bit_equal(tmp_path, dataset, stop_after):
    whole, cut = job_for(tmp_path, dataset, "whole"), job_for(tmp_path, dataset, "cut")
    train(whole)
    train(cut, LocalSession(stop_after=stop_after))
    assert train(cut).finished
    assert final_weights(cut) == final_weights(whole)


@pytest.mark.slow
def test_exported_program_takes_other_sizes(tmp_path, dataset):
    job = job_for(tmp_path, dataset, "run", train={"epochs": 1})
    train(job)
    assert export_run(job.run_uri, tmp_path / "model.pt2")["max_abs_diff"] < 1e-3
    program = torch.export.load(tmp_path / "model.pt2").module()
    assert program(torch.zeros(3, 1, 41, 70)).shape == (3, 1, 41, 70)
