"""Evaluations of several models, files and improved masks, against masks that the predictor gives."""

import io
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import safetensors.torch
import torch
from PIL import Image
from scipy import ndimage

import unetpp
from unetpp.cli.main import run as command
from unetpp.core.errors import ConfigError, InputError
from unetpp.core.rundir import RunDir
from unetpp.core.storage import open_storage
from unetpp.data.dataset.manifests import load_manifest
from unetpp.data.dataset.parquet import iter_samples
from unetpp.inference.engines.exported import ExportedModel, LogitsAndMask
from unetpp.inference.ensemble.load import Averaging
from unetpp.inference.evaluate import evaluate
from unetpp.inference.evaluation.files import read_evaluations
from unetpp.inference.evaluation.options import evaluate_options
from unetpp.inference.export import export_run
from unetpp.inference.masks.decide import Decision
from unetpp.inference.predictor import Predictor, masks_from_logits
from unetpp.models.cost import count_cost
from unetpp.models.load import MODEL_FILE, load_run
from unetpp.report.run.data import load_run_data
from unetpp.report.run.sections import level_rows
from untrained_run import random_samples


def data_of(run: str) -> str:
    return RunDir(run).read_config()["data"]["uri"]


def pooled_dice(run: str, masks) -> float:
    """Dice over all test images of what `masks` makes of an image."""
    storage = open_storage(data_of(run))
    both = total = 0
    for sample in iter_samples(storage, load_manifest(storage), "test"):
        found, true = masks(sample.image) == 1, sample.mask == 1
        both += (found & true).sum()
        total += found.sum() + true.sum()
    return 2 * both / total


@pytest.fixture
def make_run(make_run):
    """Makes runs with weights of their own, whose masks are neither empty nor full."""

    def make(task: str = "binary", *, name: str = "run") -> str:
        run = make_run(task, name=name)
        weights = safetensors.torch.load(RunDir(run).checkpoints.best()[1][MODEL_FILE])
        torch.manual_seed(sum(map(ord, name)))
        moved = {key: value + 0.3 * torch.randn_like(value) for key, value in sorted(weights.items())}
        model = load_run(run).model
        model.load_state_dict(moved)
        images = torch.randn(4, 3, 24, 24)
        with torch.inference_mode():
            for head, logits in zip(("1", "2"), model(images).levels, strict=True):
                moved[f"heads.{head}.bias"] -= logits.transpose(0, 1).flatten(1).quantile(0.7, dim=1)
        RunDir(run).checkpoints.save(4, {MODEL_FILE: safetensors.torch.save(moved)})
        RunDir(run).checkpoints.mark_best(4, 0.6)
        return run

    return make


@pytest.fixture
def other(make_run) -> str:
    return make_run(name="other")


@pytest.mark.slow
def test_evaluate_ensemble_scores_each_member_and_their_mean(make_run, other):
    run = make_run()
    result = evaluate([run, other])
    assert [stage["masks"] for stage in result["stages"]] == ["run", "other", "mean of 2 networks"]
    for stage, places in zip(result["stages"], (run, other, [run, other]), strict=True):
        assert stage["dice"] == pytest.approx(pooled_dice(run, Predictor.of(places).mask))
        assert 0 < stage["dice"] < 1
        assert stage["cpu_ms"] > 0
    assert result["dice"] == result["stages"][-1]["dice"]
    gain = result["stages"][-1]["gain"]
    first = result["stages"][0]["dice_per_image"]
    assert gain["mean_difference"] == pytest.approx(result["dice_per_image"] - first)
    assert read_evaluations(open_storage(f"{run}-ensemble"))["test"]["models"] == [run, other]
    assert read_evaluations(RunDir(run).storage) == {}


def test_evaluate_with_views_and_levels_scores_what_predict_writes(make_run):
    run = make_run()
    result = evaluate(run, options=evaluate_options(tta=True, average_levels=True))
    names = [stage["masks"] for stage in result["stages"]]
    assert names == ["plain", "+ mean of levels", "+ mean of views"]
    predictor = Predictor.of(run, averaging=Averaging(tta=True, levels=True))
    assert result["dice"] == pytest.approx(pooled_dice(run, predictor.mask))
    assert set(read_evaluations(RunDir(run).storage)) == {"test-levels-tta"}


def test_evaluate_exported_file_equals_its_run(make_run, tmp_path):
    run, file = make_run(), tmp_path / "m.safetensors"
    export_run(run, file)
    with pytest.raises(InputError, match=r"data\.uri=URI"):
        evaluate(str(file))
    found, expected = evaluate(str(file), data_uri=data_of(run)), evaluate(run)
    assert found["dice"] == expected["dice"]
    assert found["latency"] is None
    assert set(read_evaluations(open_storage(f"{file}-evaluated"))) == {"test"}


@pytest.mark.slow
def test_evaluation_of_several_models_kept_in_a_run_is_reported_without_latencies(make_run, other):
    run = make_run()
    evaluate([run, other], options=evaluate_options(out=run))
    data = load_run_data(run)
    rows = level_rows(data, count_cost(data.config.model, data.patch_px))
    assert [row["time"] for row in rows] == ["–", "–"]


def test_evaluate_leaves_small_objects_out(make_run):
    run = make_run()
    plain = Predictor.of(run)

    def kept(image: np.ndarray) -> np.ndarray:
        mask = plain.mask(image)
        ids, count = ndimage.label(mask)
        sizes = ndimage.sum_labels(mask, ids, range(count + 1))
        return mask * (sizes[ids] >= 6)

    result = evaluate(run, options=evaluate_options(min_object_px=6))
    assert result["dice"] == pytest.approx(pooled_dice(run, kept))
    assert result["stages"][-1]["masks"] == "+ objects of 6 px or more"


def test_fitted_thresholds_are_kept_used_and_switched_off(make_run):
    run = make_run()
    fitted = evaluate(run, options=evaluate_options(fit_thresholds=True))
    assert fitted["split"] == "val"
    (entry,) = fitted["fitted_thresholds"]
    assert entry["dice"] >= entry["dice_at_half"]
    again = evaluate(run, split="val")
    assert again["thresholds"] == [entry["threshold"]]
    assert again["dice"] == pytest.approx(entry["dice"], abs=1e-3)
    plain = evaluate(run, split="val", options=evaluate_options(thresholds=0.5))
    assert plain["dice"] == pytest.approx(entry["dice_at_half"], abs=1e-3)
    assert plain["thresholds"] == []


def test_thresholds_belong_to_one_checkpoint(make_run):
    run = make_run()
    evaluate(run, options=evaluate_options(fit_thresholds=True))
    store = RunDir(run).checkpoints
    store.save(9, store.best()[1])
    store.mark_best(9, 0.9)
    assert evaluate(run)["thresholds"] == []


@pytest.mark.parametrize(
    ("asked", "split", "said"),
    [
        ({"fit_thresholds": True}, "test", "would flatter its scores"),
        ({"fit_thresholds": True, "tta": True}, None, "leave --tta"),
        ({"fit_thresholds": True, "corruption": "jpeg"}, None, "leave --attack and --corruption out"),
        ({"thresholds": 1.5}, None, "between 0 and 1"),
        ({"thresholds": (0.5, 0.4)}, None, "one entry for each of 1 classes"),
        ({"min_object_px": -1}, None, "must be 0 or more"),
    ],
)
def test_evaluate_refuses_what_makes_no_sense(make_run, asked, split, said):
    with pytest.raises(ConfigError, match=said):
        evaluate(make_run(), split=split, options=evaluate_options(**asked))


@pytest.mark.slow
def test_evaluate_fits_thresholds_of_classes_that_predict_and_files_use(make_run, tmp_path):
    run = make_run("multiclass")
    plain = evaluate(run, split="val")
    fitted = evaluate(run, options=evaluate_options(fit_thresholds=True))["fitted_thresholds"]
    thresholds = [each["threshold"] for each in fitted]
    assert len(thresholds) == 3
    scored = evaluate(run, split="val")
    assert scored["thresholds"] == pytest.approx(thresholds)
    assert scored["dice"] > plain["dice"]
    export_run(run, tmp_path / "m.safetensors")
    image = random_samples("multiclass", [(24, 24)], seed=5)[0].image
    mask = Predictor.of(run).mask(image)
    assert (mask != Predictor.of(run, thresholds=(0.5,) * 3).mask(image)).any()
    assert np.array_equal(Predictor.of(str(tmp_path / "m.safetensors")).mask(image), mask)
    loaded = load_run(run)
    program = LogitsAndMask(ExportedModel(loaded.normalise, loaded.model), "multiclass", thresholds)
    inside = program(torch.from_numpy(image).permute(2, 0, 1)[None].float())[1]
    assert np.array_equal(inside[0].numpy(), mask)


def test_evaluate_one_threshold_of_a_multiclass_run_is_refused(make_run):
    with pytest.raises(ConfigError, match="the largest class wins"):
        evaluate(make_run("multiclass"), options=evaluate_options(thresholds=0.4))


def test_evaluate_tolerance_in_mm_without_spacing_is_refused(make_run):
    with pytest.raises(InputError, match="give it in px"):
        evaluate(make_run(), options=evaluate_options(boundaries="1mm"))


def test_evaluate_tells_intervals_calibration_and_the_images_to_look_at(make_run):
    run = make_run()
    result = evaluate(run, options=evaluate_options(boundaries="1.5px"))
    low, high = result["intervals"]["dice"]
    assert low <= result["dice"] <= high
    assert result["intervals"]["over"] == "images"
    assert 0 <= result["calibration"]["ece"] <= 1
    scores = [each["dice"] for each in result["worst"]]
    assert scores == sorted(scores)
    certain = [each["certainty"] for each in result["most_uncertain"]["images"]]
    assert certain == sorted(certain)
    assert result["borders"]["tolerance"] == "1.5 px"
    assert 0 <= result["boundary_iou"] <= 1
    table = pq.read_table(io.BytesIO(RunDir(run).storage.read("evaluations/test/per_image.parquet")))
    assert {"sample_id", "group", "dice", "level1_dice", "certainty_levels", "tp_cell", "hd95_px"} <= set(
        table.column_names
    )
    assert len(table) == result["rows"]
    tp, fp, fn = (np.sum(table[f"{kind}_cell"].to_numpy()) for kind in ("tp", "fp", "fn"))
    assert result["dice"] == pytest.approx(2 * tp / (2 * tp + fp + fn))
    assert json.loads(json.dumps(result, allow_nan=False)) == result


@pytest.mark.slow
def test_evaluate_command_prints_gain_and_cost_and_reads_places_and_overrides(
    make_run, other, capsys, tmp_path
):
    run = make_run()
    asked = ["--tta", "--boundaries", "--min-object-px", "3", "--out", str(tmp_path / "out")]
    assert command(["evaluate", run, other, f"data.uri={data_of(run)}", *asked]) == 0
    shown = capsys.readouterr().out
    for words in (
        "mean of 2 networks",
        "+ mean of views",
        "CPU ms an image",
        "surface Dice at 2 px",
        "lowest Dice",
    ):
        assert words in shown
    assert Path(tmp_path / "out/evaluations/test-tta-min3.json").is_file()
    assert command(["evaluate", run, "data.batch_size=3"]) == 2
    assert command(["evaluate", run, "--threshold", "half"]) == 2


@pytest.mark.slow
def test_kept_thresholds_and_least_sizes_decide_what_predict_and_exports_write(make_run, tmp_path):
    run, file = make_run(), tmp_path / "m.safetensors"
    evaluate(run, options=evaluate_options(fit_thresholds=True))
    export_run(run, file)
    scored = evaluate(run, options=evaluate_options(min_object_px=4))
    assert scored["thresholds"] != []
    for place in (run, str(file)):
        predictor = Predictor.of(place, min_object_px=4)
        assert list(predictor.decision.thresholds) == scored["thresholds"]
        assert pooled_dice(run, predictor.mask) == pytest.approx(scored["dice"])
    assert Predictor.of(run, thresholds=(0.5,)).decision.is_plain


def test_predict_function_takes_one_threshold_for_all_labels(make_run, tmp_path):
    run = make_run("multilabel")
    image = np.random.default_rng(0).integers(0, 255, (20, 24, 3), np.uint8)
    Image.fromarray(image).save(tmp_path / "a.png")
    unetpp.predict(run, tmp_path / "a.png", tmp_path / "out", thresholds=0.4)
    found = np.asarray(Image.open(tmp_path / "out/a.png"))
    assert np.array_equal(found, Predictor.of(run, thresholds=(0.4, 0.4)).mask(image))
    assert not np.array_equal(found, Predictor.of(run).mask(image))


@pytest.mark.parametrize("task", ["binary", "multilabel"])
def test_mask_of_an_exported_graph_has_the_thresholds(make_run, task, tmp_path):
    run = load_run(make_run(task))
    exported = ExportedModel(run.normalise, run.model.at_level(2)).eval()
    thresholds = (0.3, 0.8)[: run.manifest.num_classes]
    images = torch.randint(0, 255, (2, 3, 20, 24)).float()
    with torch.inference_mode():
        logits, masks = LogitsAndMask(exported, task, thresholds)(images)
    decided = Decision(thresholds).apply(logits, run.manifest)
    assert torch.equal(masks, masks_from_logits(decided, task))
    assert not torch.equal(masks, masks_from_logits(logits, task))


def test_small_objects_of_a_class_become_the_next_most_probable_one(make_run):
    manifest = RunDir(make_run("multiclass")).read_dataset()
    logits = torch.zeros(1, 3, 8, 8)
    logits[:, 0] = 1
    logits[0, 1, 4:, :] = 2
    logits[0, 2, 5:7, 3:5] = 3
    masks = [masks_from_logits(Decision((), least).apply(logits, manifest), "multiclass") for least in (4, 5)]
    assert (masks[0][0, 5:7, 3:5] == 2).all()
    assert (masks[1][0, 4:] == 1).all()
