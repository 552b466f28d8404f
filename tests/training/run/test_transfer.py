"""A run that starts from another's weights, in parts frozen or slower."""

import pytest
import safetensors.torch
import torch

from fakes import LocalSession, final_weights, start_run, tiny_config, train
from unetpp.config import load_config
from unetpp.core.errors import CheckpointError, ConfigError, InputError
from unetpp.core.rundir import RunDir
from unetpp.inference.export import export_run
from unetpp.models.encoders import lite_weights
from unetpp.models.encoders.efficientnet_lite import EfficientNetLite
from unetpp.training.run.create import create_run, named_encoder, require_sources
from unetpp.training.run.job import TrainJob
from unetpp.training.run.prepare import resumed_config

FIXED = {"name": "sgd", "lr": 1e-12, "momentum": 0.0, "weight_decay": 0.0}
"""An optimiser that leaves every weight as it was to float32."""
COLUMN = ("nodes.0_0.", "nodes.1_0.", "nodes.2_0.")


def job_for(tmp_path, dataset, name, **sections) -> TrainJob:
    config = tiny_config(dataset[0], **sections).model_copy(update={"out": str(tmp_path / name)})
    return start_run(config, dataset[1])


def weights_of(job: TrainJob) -> dict[str, torch.Tensor]:
    return safetensors.torch.load(final_weights(job)["model.safetensors"])


@pytest.fixture(scope="module")
def source(tmp_path_factory, dataset) -> TrainJob:
    job = job_for(tmp_path_factory.mktemp("source"), dataset, "run", train={"epochs": 1, "seed": 5})
    train(job)
    return job


@pytest.mark.parametrize("kind", ["run", "export", "file"])
def test_run_starts_from_a_run_an_export_and_a_file(tmp_path, dataset, source, kind):
    uri = source.run_uri
    if kind == "export":
        uri = str(tmp_path / "model.safetensors")
        export_run(source.run_uri, tmp_path / "model.safetensors")
    if kind == "file":
        uri = str(tmp_path / "own.safetensors")
        wrapped = {f"module.model.{name}": tensor for name, tensor in weights_of(source).items()}
        safetensors.torch.save_file(wrapped, uri)
    job = job_for(tmp_path, dataset, "run", optim=FIXED, train={"epochs": 1, "init": uri})
    train(job)
    expected, found = weights_of(source), weights_of(job)
    lacking = {name for name in found if name.startswith("heads.1.")} if kind == "export" else set()
    for name, tensor in found.items():
        assert torch.allclose(tensor, expected[name], atol=1e-6) == (name not in lacking), name
    told = RunDir(job.run_uri).read_decisions()[-1]
    assert (told["field"], told["value"]) == ("train.init", uri)
    assert f"weights are those of {uri}" in told["reason"]
    assert ("heads.1.weight" in told["reason"]) == (kind == "export")


def test_heads_of_other_classes_start_at_random_and_are_named(tmp_path, dataset, source):
    several = dataset[1].model_copy(update={"classes": dataset[1].classes * 2, "task": "multilabel"})
    config = tiny_config(
        dataset[0], model={"num_classes": 2}, train={"init": source.run_uri}, optim=FIXED
    ).model_copy(update={"out": str(tmp_path / "run")})
    (told,) = create_run(config, [], several, {})
    assert "heads.1.weight (1x4x1x1 there, 2x4x1x1 here)" in told.reason
    initial = safetensors.torch.load(RunDir(config.run_uri).read_initial() or b"")
    assert not any(name.startswith("heads.") for name in initial)
    assert all(torch.equal(tensor, weights_of(source)[name]) for name, tensor in initial.items())


@pytest.mark.parametrize(
    ("sections", "error", "message"),
    [
        ({"model": {"width": 6}}, ConfigError, "must hold a convolution with the name and the shape"),
        ({"train": {"init": "nowhere"}}, InputError, "must be a run's folder or end in .safetensors"),
        ({"train": {"init": "nowhere.safetensors"}}, InputError, "must be a safetensors file"),
    ],
)
def test_source_that_does_not_fit_is_refused_before_the_folder_is_claimed(
    tmp_path, dataset, source, sections, error, message
):
    with pytest.raises(error, match=message):
        job_for(tmp_path, dataset, "run", **{"train": {"init": source.run_uri}} | sections)
    assert not RunDir(str(tmp_path / "run")).exists()


def test_source_without_a_checkpoint_is_refused(tmp_path, dataset):
    empty = job_for(tmp_path, dataset, "empty")
    with pytest.raises(CheckpointError, match="no usable checkpoint yet"):
        job_for(tmp_path, dataset, "run", train={"init": empty.run_uri})


def test_source_with_the_encoder_needs_no_package(tmp_path, dataset, monkeypatch):
    encoded = {"model": {"encoder": "lite0", "stem_stride": 2, "depth": 1}}
    first = job_for(tmp_path, dataset, "first", **encoded, train={"epochs": 1})
    train(first)
    monkeypatch.setattr(lite_weights.importlib.util, "find_spec", lambda _: None)
    init = {"init": first.run_uri}
    job = job_for(tmp_path, dataset, "run", **encoded, train={"epochs": 1} | init, optim=FIXED)
    train(job)
    for name, tensor in weights_of(job).items():
        assert torch.allclose(tensor, weights_of(first)[name], atol=1e-6), name
    with pytest.raises(ConfigError, match="pip install"):
        job_for(tmp_path, dataset, "deeper", model=encoded["model"] | {"depth": 2}, train=init)


def test_published_encoder_of_the_user_s_own_is_taken_by_its_names(tmp_path, dataset):
    published = torch.load(lite_weights._installed_file("lite1"), weights_only=True)
    safetensors.torch.save_file(
        {name: (tensor * 1.5).contiguous() for name, tensor in published.items()},
        tmp_path / "own.safetensors",
    )
    init = {"epochs": 1, "init": str(tmp_path / "own.safetensors")}
    model = {"encoder": "lite1", "stem_stride": 2, "depth": 1}
    job = job_for(tmp_path, dataset, "run", model=model, train=init, optim=FIXED)
    initial = safetensors.torch.load(RunDir(job.run_uri).read_initial() or b"")
    expected = lite_weights.folded({n: t * 1.5 for n, t in published.items()}, "lite1")
    torch.testing.assert_close(initial["encoder.stem.weight"], expected["stem.weight"].sum(1, keepdim=True))
    name = "rows.1.0.expand.weight"
    torch.testing.assert_close(initial[f"encoder.{name}"], expected[name])
    wrong = {"init": str(tmp_path / "lite0.safetensors")}
    smaller = torch.load(lite_weights._installed_file("lite0"), weights_only=True)
    safetensors.torch.save_file({n: t.contiguous() for n, t in smaller.items()}, wrong["init"])
    with pytest.raises(ConfigError, match=r"name another model\.encoder"):
        job_for(tmp_path, dataset, "other", model=model, train=wrong)


@pytest.mark.slow
@pytest.mark.parametrize("freeze", [1, 2])
def test_frozen_column_learns_only_after_its_epochs(tmp_path, dataset, freeze):
    frozen = {"epochs": freeze, "freeze": freeze, "seed": 3}
    still = job_for(tmp_path, dataset, "still", train=frozen)
    train(still)
    start = job_for(tmp_path, dataset, "start", train={"epochs": 1, "seed": 3}, optim=FIXED)
    train(start)
    moved = job_for(tmp_path, dataset, "moved", train=frozen | {"epochs": freeze + 1})
    train(moved)
    for name, tensor in weights_of(still).items():
        is_same = torch.allclose(tensor, weights_of(start)[name], atol=1e-6)
        assert is_same == name.startswith(COLUMN), name
        assert not torch.equal(weights_of(moved)[name], weights_of(start)[name]), name


@pytest.mark.slow
@pytest.mark.parametrize("stop_after", [3, 7])
def test_resume_in_and_after_the_frozen_epochs_is_bit_equal(tmp_path, dataset, stop_after):
    sections = {"train": {"freeze": 1, "ema": 0.9}, "optim": {"layer_decay": 0.5}}
    whole, cut = (job_for(tmp_path, dataset, name, **sections) for name in ("whole", "cut"))
    train(whole)
    train(cut, LocalSession(stop_after=stop_after))
    assert train(cut).finished
    assert final_weights(cut) == final_weights(whole)


def test_resume_does_not_ask_for_the_source_again(tmp_path, dataset, source):
    job = job_for(tmp_path, dataset, "run", train={"init": source.run_uri})
    train(job, LocalSession(stop_after=3))
    config = resumed_config(load_config(None, [f"out={job.run_uri}"]))
    assert config.train.init == source.run_uri
    with pytest.raises(ConfigError, match=r"remove train.init="):
        resumed_config(load_config(None, [f"out={job.run_uri}", "train.init=other.safetensors"]))


@pytest.mark.parametrize("kind", ["ours", "published"])
@pytest.mark.parametrize("name", ["lite0", "lite1", "lite2"])
def test_encoder_of_a_file_is_recognised(tmp_path, kind, name):
    path = str(tmp_path / "own.safetensors")
    if kind == "ours":
        rows = 2 if name == "lite0" else 5
        weights = EfficientNetLite(3, name, rows).state_dict()
        weights = {f"encoder.{key}": tensor for key, tensor in weights.items()}
    else:
        weights = torch.load(lite_weights._installed_file(name), weights_only=True)
    safetensors.torch.save_file({key: tensor.contiguous() for key, tensor in weights.items()}, path)
    config = named_encoder(load_config(None, [f"model.encoder={path}"]))
    assert (config.model.encoder, config.train.init) == (name, path)


def test_encoder_of_a_file_without_one_is_refused(source):
    with pytest.raises(ConfigError, match=r"must hold an encoder, one of lite0, lite1, lite2"):
        named_encoder(load_config(None, [f"model.encoder={source.run_uri}"]))
    with pytest.raises(ConfigError, match=r"give one of them"):
        named_encoder(load_config(None, [f"model.encoder={source.run_uri}", "train.init=other"]))


def test_sources_that_are_missing_stop_a_sweep_before_its_trials(monkeypatch, source):
    require_sources(load_config(None, ["model.encoder=lite0"]))
    require_sources(load_config(None, [f"train.init={source.run_uri}"]))
    with pytest.raises(InputError, match="no run is there"):
        require_sources(load_config(None, ["train.init=nowhere"]))
    monkeypatch.setattr(lite_weights.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match="pip install"):
        require_sources(load_config(None, ["model.encoder=lite0"]))


def test_source_of_another_grid_warns_that_little_of_it_fits(tmp_path, dataset, source, caplog):
    job_for(tmp_path, dataset, "same", train={"init": source.run_uri})
    assert not caplog.records
    job_for(tmp_path, dataset, "other", model={"dense": "unet", "depth": 3}, train={"init": source.run_uri})
    assert "% of the weights, all others start at random" in caplog.text
