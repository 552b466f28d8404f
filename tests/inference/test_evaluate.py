"""Evaluation against scores computed by hand from the predictor's own masks."""

import json

import numpy as np
import pytest

from unetpp.core.errors import ConfigError, InputError
from unetpp.core.manifest import IGNORE, Manifest, SplitInfo
from unetpp.core.rundir import RunDir
from unetpp.core.storage import open_storage
from unetpp.data.dataset.manifests import commit_manifest, load_manifest
from unetpp.data.dataset.parquet import encode_shard, iter_samples, shard_info
from unetpp.data.dataset.sample import Sample
from unetpp.inference.evaluate import evaluate
from unetpp.inference.evaluation.files import read_evaluations, read_panel, read_per_image
from unetpp.inference.evaluation.options import evaluate_options
from unetpp.inference.predictor import Predictor


def _masks(run: str, split: str, level: int | None = None) -> list[tuple[np.ndarray, np.ndarray]]:
    """(truth, prediction) of every sample."""
    data = open_storage(RunDir(run).read_config()["data"]["uri"])
    predictor = Predictor.from_run(run, level=level)
    samples = iter_samples(data, load_manifest(data), split)
    return [(sample.mask, predictor.predict(sample.image).mask) for sample in samples]


def write_patchy(folder, manifest: Manifest, seed: int) -> tuple[str, int]:
    """A test split whose images lack most classes; its URI and how many images are ignored altogether."""
    generator, samples = np.random.default_rng(seed), []
    values = {"binary": 2, "multiclass": 3, "multilabel": 4}[manifest.task]
    for index in range(8):
        image = generator.integers(0, 255, (12, 12, 3), dtype=np.uint8)
        mask = np.zeros((12, 12), np.uint8)
        if index % 2:
            mask[3:9, 3:9] = generator.integers(0, values)
        mask[generator.random((12, 12)) < 0.2] = IGNORE
        if index == 5:
            mask[:] = IGNORE
        samples.append(Sample(f"p{index}", f"p{index}", image, mask, None, f"p{index}.png", (12, 12)))
    storage, data = open_storage(folder), encode_shard(samples)
    info = shard_info("test", 0, samples, data)
    storage.write(info.name, data)
    splits = {"test": SplitInfo(rows=len(samples), shards=(info,))}
    changes = {"splits": splits, "sizes": {"12x12": 8}, "ignore_index": IGNORE}
    commit_manifest(storage, manifest.model_copy(update=changes))
    return storage.uri, 1


def test_evaluate_binary_equals_pooled_scores_of_predicted_masks(make_run):
    run = make_run()
    result = evaluate(run, split="test")
    pairs = _masks(run, "test")
    truth = np.concatenate([t.ravel() for t, _ in pairs]) == 1
    predicted = np.concatenate([p.ravel() for _, p in pairs]) == 1
    both = (truth & predicted).sum()
    assert result["dice"] == pytest.approx(2 * both / (truth.sum() + predicted.sum()))
    assert result["iou"] == pytest.approx(both / (truth | predicted).sum())
    assert result["confusion"]["counts"][1][1] == both
    assert result["confusion"]["counts"][0][0] == (~truth & ~predicted).sum()
    assert result["rows"] == 4
    assert {"dice", "iou", "dice_per_image", "iou_per_image", "precision", "recall", "classes"} <= set(result)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_evaluate_per_image_lines_average_to_dice_per_image_at_every_level(make_run, tmp_path, task, seed):
    run = make_run(task)
    data, ignored = write_patchy(tmp_path / "patchy", RunDir(run).read_dataset(), seed)
    result = evaluate(run, split="test", data_uri=data)
    lines = read_per_image(RunDir(run).storage, "test")
    assert len(lines) == result["rows"] - ignored
    for score in ("dice", "iou"):
        mean = np.mean([line[score] for line in lines])
        assert mean == pytest.approx(result[f"{score}_per_image"], abs=1e-12)
        for level, values in result["levels"].items():
            mean = np.mean([line["levels"][level][score] for line in lines])
            assert mean == pytest.approx(values[f"{score}_per_image"], abs=1e-12)


def test_evaluate_multiclass_with_ignored_pixels_leaves_them_out(make_run):
    run = make_run("multiclass")
    result = evaluate(run, split="test")
    counted = sum(int((truth != IGNORE).sum()) for truth, _ in _masks(run, "test"))
    assert np.sum(result["confusion"]["counts"]) == counted


def test_evaluate_multilabel_has_no_confusion_and_scores_every_label(make_run):
    run = make_run("multilabel")
    result = evaluate(run)
    assert result["confusion"] is None
    assert [entry["name"] for entry in result["classes"]] == ["vessel", "lesion"]
    truth, predicted = (
        np.concatenate([m.ravel() for m in masks]) for masks in zip(*_masks(run, "test"), strict=True)
    )
    lesion_t, lesion_p = truth & 2 > 0, predicted & 2 > 0
    expected = 2 * (lesion_t & lesion_p).sum() / (lesion_t.sum() + lesion_p.sum())
    assert result["classes"][1]["dice"] == pytest.approx(expected)


def test_evaluate_at_a_level_equals_that_level_of_the_full_network(make_run):
    run = make_run()
    full, pruned = evaluate(run), evaluate(run, level=1)
    assert pruned["level"] == 1
    assert pruned["dice"] == full["levels"]["1"]["dice"]
    assert set(read_evaluations(RunDir(run).storage)) == {"test", "test-level1"}


def test_evaluate_larger_than_window_scores_every_pixel(make_run, monkeypatch):
    monkeypatch.setattr("unetpp.config.run._MIN_WINDOW_PX", 16)
    run = make_run(sizes=[(40, 70)])
    result = evaluate(run)
    assert result["window_px"] == 16
    assert np.sum(result["confusion"]["counts"]) == 40 * 70


def test_evaluate_again_replaces_files_and_keeps_panels_readable(make_run):
    run = make_run()
    evaluate(run)
    evaluate(run)
    storage = RunDir(run).storage
    summary = read_evaluations(storage)["test"]
    shown = [entry for kind in ("best", "worst") for entry in summary["examples"][kind]]
    assert len({entry["sample_id"] for entry in shown}) == len(shown) == 4
    assert all(read_panel(storage, entry["file"]).startswith(b"\x89PNG") for entry in shown)
    scores = [entry["dice"] for entry in summary["examples"]["best"]]
    assert scores == sorted(scores, reverse=True)


def test_evaluate_unknown_split_names_those_that_exist(make_run):
    with pytest.raises(InputError, match=r"split='tset'.*test"):
        evaluate(make_run(), split="tset")


def test_evaluate_level_without_head_is_config_error(make_run):
    with pytest.raises(ConfigError, match="level=7"):
        evaluate(make_run(), level=7)


def test_evaluate_on_dataset_with_other_classes_is_refused(make_run):
    run, other = make_run(), make_run("multiclass", name="other")
    with pytest.raises(InputError, match="task multiclass"):
        evaluate(run, data_uri=RunDir(other).read_config()["data"]["uri"])


def test_evaluate_result_is_the_written_json(make_run):
    run = make_run()
    result = evaluate(run)
    written = read_evaluations(RunDir(run).storage)["test"]
    assert written.pop("examples").keys() == {"best", "worst"}
    assert json.loads(json.dumps(result)) == written


def test_evaluation_cut_short_is_not_taken_for_one(make_run, monkeypatch):
    run = make_run()
    evaluate(run)

    def fail(*_: object) -> bytes:
        raise ConnectionError

    monkeypatch.setattr("unetpp.inference.evaluation.files.json.dumps", fail)
    with pytest.raises(ConnectionError):
        evaluate(run)
    assert read_evaluations(RunDir(run).storage) == {}


def test_evaluate_borders_are_measured_only_where_asked(make_run):
    run = make_run()
    assert "hd95_px" not in evaluate(run)
    assert evaluate(run, options=evaluate_options(boundaries="2px"))["hd95_px"] > 0
