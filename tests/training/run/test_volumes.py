"""A dataset of volumes from packing over the plan and training to scores, masks and an export."""

import numpy as np
import pytest
import torch

from fakes import LocalSession, final_weights, start_run, train
from machines import machine
from unetpp.config import load_config
from unetpp.config.planning.resolve import resolve
from unetpp.core.storage import open_storage
from unetpp.data.dataset.manifests import load_manifest
from unetpp.data.dataset.parquet import iter_samples
from unetpp.data.pack.discover import SourceFolder
from unetpp.data.pack.options import PackOptions
from unetpp.data.pack.pack import pack
from unetpp.inference.batch import predict_paths
from unetpp.inference.evaluate import evaluate
from unetpp.inference.evaluation.options import evaluate_options
from unetpp.inference.export import export_run
from unetpp.inference.predictor import Predictor
from volumes import ball_volumes, register


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("volumes")
    with pytest.MonkeyPatch.context() as patch:
        register(patch)
        ball_volumes(folder, 8)
        source = SourceFolder(str(folder / "images"), str(folder / "masks"))
        pack([source], str(folder / "packed"), PackOptions(val=0.25, test=0.25))
    return folder


def job_for(dataset, out, *overrides):
    uri = str(dataset / "packed")
    manifest = load_manifest(open_storage(uri))
    fields = [f"data.uri={uri}", f"out={out}", "model.width=4", "optim.lr=0.01", "train.trackers=[]"]
    config, _ = resolve(load_config(None, [*fields, "data.batch_size=2", *overrides]), manifest, machine())
    return start_run(config, manifest)


@pytest.fixture(scope="module")
def run(dataset, tmp_path_factory):
    job = job_for(dataset, tmp_path_factory.mktemp("run") / "run", "train.epochs=12")
    train(job)
    return job


@pytest.mark.slow
def test_plan_of_thick_slices_leaves_planes_apart_where_they_are_far_apart(run):
    model, data = run.config.model, run.config.data
    assert (model.spatial_dims, model.depth) == (3, 1)
    assert model.pool == ((1, 2, 2),)
    assert (data.crop_depth, data.crop) == (8, 20)


@pytest.mark.slow
def test_trained_network_finds_the_balls_and_its_scores_are_those_of_its_masks(run):
    result = evaluate(run.run_uri, split="test", options=evaluate_options(boundaries="2px"))
    assert result["dice"] > 0.8
    storage = open_storage(run.config.data.uri)
    samples = list(iter_samples(storage, run.manifest, "test"))
    predictor = Predictor.from_run(run.run_uri)
    masks = [predictor.predict(sample.image).mask for sample in samples]
    both = sum(int((mask & sample.mask).sum()) for mask, sample in zip(masks, samples, strict=True))
    total = sum(int(mask.sum() + sample.mask.sum()) for mask, sample in zip(masks, samples, strict=True))
    assert result["dice"] == pytest.approx(2 * both / total)
    assert result["hd95_mm"] >= result["hd95_px"]  # planes are 3 mm apart, rows 1 mm


@pytest.mark.slow
def test_volumes_are_predicted_from_files_in_their_shape(run, dataset, tmp_path, monkeypatch):
    register(monkeypatch)
    written = {}
    monkeypatch.setattr(
        "unetpp.inference.many.worker.write_mask",
        lambda found, _target, name, _form: written.update({name: found.mask}),
    )
    predict_paths(run.run_uri, str(dataset / "images"), str(tmp_path / "out"))
    assert {mask.shape for mask in written.values()} == {(8, 24, 20)}
    assert len(written) == 8


def test_run_stopped_and_resumed_equals_the_uninterrupted_one(dataset, tmp_path):
    whole, cut = (job_for(dataset, tmp_path / name, "train.epochs=2") for name in ("whole", "cut"))
    train(whole)
    train(cut, LocalSession(stop_after=1))
    train(cut)
    assert final_weights(cut) == final_weights(whole)


@pytest.mark.slow
def test_exported_program_takes_volumes_of_any_size(run, tmp_path):
    out = tmp_path / "model.pt2"
    export_run(run.run_uri, out)
    program = torch.export.load(out).module()
    volume = np.random.default_rng(0).integers(0, 255, (7, 19, 17, 1), dtype=np.uint8)
    images = torch.from_numpy(volume).movedim(-1, 0)[None].float()
    expected = Predictor.from_run(run.run_uri).predict(volume).probabilities
    np.testing.assert_allclose(program(images).sigmoid().detach()[0], expected, atol=1e-4)
