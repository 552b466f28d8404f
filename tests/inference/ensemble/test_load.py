"""Several networks, levels and views as one predictor, against their probabilities averaged by hand."""

from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from unetpp.core.errors import CheckpointError, ConfigError, InputError
from unetpp.core.rundir import RunDir
from unetpp.inference.ensemble.load import Averaging
from unetpp.inference.export import export_run
from unetpp.inference.predictor import Predictor
from unetpp.models.load import MODEL_FILE


@pytest.fixture
def other_weights(make_run):
    """Makes a run with weights of its own."""

    def make(name: str, task: str = "binary", seed: int = 1) -> str:
        run = make_run(task, name=name)
        _, files = RunDir(run).checkpoints.best()
        weights = safetensors.torch.load(files[MODEL_FILE])
        torch.manual_seed(seed)
        moved = {key: value + 0.3 * torch.randn_like(value) for key, value in sorted(weights.items())}
        RunDir(run).checkpoints.save(4, {MODEL_FILE: safetensors.torch.save(moved)})
        RunDir(run).checkpoints.mark_best(4, 0.6)
        return run

    return make


def _mean(image: np.ndarray, *predictors: Predictor) -> np.ndarray:
    return np.mean([each.predict(image).probabilities for each in predictors], axis=0)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_ensemble_of_runs_and_exports_has_the_mean_of_their_probabilities(
    make_run, other_weights, image, task, tmp_path
):
    runs = [make_run(task), other_weights("b", task)]
    file = str(tmp_path / "c.safetensors")
    export_run(other_weights("c", task, seed=2), Path(file), level=1)
    together = Predictor.of([*runs, file])
    expected = _mean(image, *map(Predictor.of, [*runs, file]))
    found = together.predict(image)
    np.testing.assert_allclose(found.probabilities, expected, atol=1e-5)
    if task == "multiclass":
        np.testing.assert_array_equal(found.mask, expected.argmax(0))


def test_ensemble_members_normalise_by_their_own_statistics(make_run, other_weights, image):
    first, second = make_run(), other_weights("b")
    storage = RunDir(second).storage
    storage.write("dataset.json", storage.read("dataset.json").replace(b'"mean": 70', b'"mean": 90'))
    expected = _mean(image, Predictor.of(first), Predictor.of(second))
    np.testing.assert_allclose(
        Predictor.of([first, second]).predict(image).probabilities, expected, atol=1e-5
    )


def test_average_of_levels_has_the_mean_of_their_probabilities(make_run, image):
    run = make_run()
    expected = _mean(image, *(Predictor.of(run, level=level) for level in (1, 2)))
    found = Predictor.of(run, averaging=Averaging(levels=True)).predict(image).probabilities
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_tta_is_the_mean_over_flips(make_run, image):
    run = make_run()
    plain = Predictor.of(run)
    flipped = [
        np.flip(plain.predict(np.flip(image, axes).copy()).probabilities, [axis + 1 for axis in axes])
        for axes in ((), (0,), (1,), (0, 1))
    ]
    found = Predictor.of(run, averaging=Averaging(tta=True)).predict(image).probabilities
    np.testing.assert_allclose(found, np.mean(flipped, axis=0), atol=1e-5)


def test_tta_of_an_export_uses_the_flips_of_its_training(make_run, image, tmp_path):
    run, file = make_run(), tmp_path / "m.safetensors"
    export_run(run, file)
    averaging = Averaging(tta=True)
    expected = Predictor.of(run, averaging=averaging).predict(image).probabilities
    found = Predictor.of(str(file), averaging=averaging).predict(image).probabilities
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_ensemble_with_views_in_windows_predicts_the_size_of_the_image(make_run, other_weights, monkeypatch):
    monkeypatch.setattr("unetpp.config.run._MIN_WINDOW_PX", 16)
    places = [make_run(), other_weights("b")]
    large = np.random.default_rng(0).integers(0, 255, (41, 70, 3), dtype=np.uint8)
    assert Predictor.of(places, averaging=Averaging(tta=True, levels=True)).mask(large).shape == (41, 70)


def test_ensemble_members_that_differ_are_refused(make_run):
    run = make_run()
    with pytest.raises(InputError, match=r"same task: .*run has binary, .*other has multiclass; name models"):
        Predictor.of([run, make_run("multiclass", name="other")])
    with pytest.raises(InputError, match=r"same side of resized images.*None.*24"):
        Predictor.of([run, make_run(sizes=[(24, 24)], resized_px=24, name="resized")])


def test_ensemble_with_classes_of_other_names_is_refused(make_run):
    first, second = make_run("multiclass"), make_run("multiclass", name="b")
    storage = RunDir(second).storage
    storage.write("dataset.json", storage.read("dataset.json").replace(b'"road"', b'"street"'))
    with pytest.raises(InputError, match=r"same classes.*road.*street"):
        Predictor.of([first, second])


def test_ensemble_of_a_run_with_itself_is_refused(make_run):
    run = make_run()
    with pytest.raises(ConfigError, match="named twice"):
        Predictor.of([run, run])


def test_ensemble_member_without_a_checkpoint_or_head_is_named(make_run):
    run, empty = make_run(), make_run(name="empty")
    storage = RunDir(empty).storage
    for name in list(storage.list("checkpoints/")):
        storage.delete(name)
    with pytest.raises(CheckpointError, match="empty has no usable checkpoint"):
        Predictor.of([run, empty])
    with pytest.raises(ConfigError, match="level=7"):
        Predictor.of([run], level=7)
    with pytest.raises(InputError, match="no run at"):
        Predictor.of([run, f"{run}-nowhere"])


def test_average_of_one_level_is_refused(make_run):
    with pytest.raises(ConfigError, match="leave --average-levels out"):
        Predictor.of(make_run(), level=1, averaging=Averaging(levels=True))
