"""A cross-validation: folds trained once each, scores of all images, an ensemble that predicts."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from fakes import LocalSession, train, write_dataset
from unetpp.api.cross_validation import train_runs
from unetpp.api.tuning import tune_sweep
from unetpp.api.watchers import Silent
from unetpp.cli.main import run as main
from unetpp.config import load_config
from unetpp.core.errors import ConfigError, ExistsError, InputError
from unetpp.core.folds_folder import FoldsFolder
from unetpp.core.rundir import RunDir
from unetpp.core.storage import open_storage
from unetpp.data.dataset.parquet import iter_samples
from unetpp.inference.batch import predict_paths
from unetpp.inference.evaluate import evaluate
from unetpp.inference.export import export_run

TINY = ("model.width=4", "model.depth=2", "data.batch_size=4", "train.epochs=1", "train.trackers=[]")


class Trainer:
    """In place of Ray: trains in this process, and notes which runs."""

    def __init__(self, stop_in=None):
        self.trained = []
        self.stop_in = stop_in

    def __call__(self, job, _address, _listener):
        self.trained.append(job.run_uri.rpartition("/")[2])
        stops = self.stop_in is not None and job.run_uri.endswith(self.stop_in)
        return train(job, LocalSession(stop_after=1 if stops else None)).finished


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("packed")
    return folder, write_dataset(folder, {"train": 12, "val": 3, "test": 2})


@pytest.fixture(scope="module")
def finished(packed, tmp_path_factory):
    """Stopped in the second of three folds, then gone on with."""
    out = tmp_path_factory.mktemp("runs") / "cv"
    first, second = Trainer(stop_in="fold-1"), Trainer()
    stopped = run(packed, out, first)
    return out, first, second, stopped, run(packed, out, second, resume=True)


def run(packed, out, trainer, *given, folds=3, resume=False):
    said = [] if resume else [f"data.uri={packed[0]}", f"train.folds={folds}", *TINY]
    config = load_config(None, [f"out={out}", *said, *given])
    return train_runs(config, Silent(), resume=resume, fit=trainer)


def sample_ids(packed, *splits):
    return sorted(
        s.sample_id for split in splits for s in iter_samples(open_storage(packed[0]), packed[1], split)
    )


@pytest.mark.slow
def test_train_folds_stopped_and_resumed_trains_what_is_left(finished):
    _, first, second, stopped, result = finished
    assert (first.trained, stopped["finished"], stopped["folds"]) == (["fold-0", "fold-1"], False, 1)
    assert (second.trained, result["finished"], result["folds"]) == (["fold-1", "fold-2"], True, 3)
    assert 0 <= result["metrics"]["dice"] <= 1


@pytest.mark.slow
def test_train_folds_every_row_is_scored_once_by_the_fold_that_held_it_out(finished, packed):
    out = finished[0]
    rows = pq.read_table(out / "out_of_fold.parquet").to_pylist()
    assert sorted(row["sample_id"] for row in rows) == sample_ids(packed, "train", "val")
    plan = FoldsFolder(str(out)).read_plan()
    assert all(plan.groups[row["group"]] == row["fold"] for row in rows)


def test_train_folds_scores_are_those_of_the_pooled_counts(finished):
    out, *_, result = finished
    table = pq.read_table(out / "out_of_fold.parquet")
    tp, fp, fn = (int(table[f"{kind}_square"].to_numpy().sum()) for kind in ("tp", "fp", "fn"))
    scores = json.loads((out / "out_of_fold.json").read_text())
    assert scores["dice"] == pytest.approx(2 * tp / max(2 * tp + fp + fn, 1))
    assert scores["classes"][0]["dice"] == scores["dice"] == result["metrics"]["dice"]
    assert scores["dice_per_image"] == pytest.approx(np.mean(table["dice"].to_numpy()))
    assert [fold["rows"] for fold in scores["folds"]] == [5, 5, 5]
    assert scores["intervals"]["units"] == 15


def test_train_folds_of_one_cross_validation_have_one_configuration(finished):
    out = finished[0]
    configs = [RunDir(str(out / f"fold-{n}")).read_config() for n in range(3)]
    for config in configs:
        assert config.pop("out")
        assert config["train"]["folds"] == 0
    assert configs[0] == configs[1] == configs[2]


def test_train_folds_that_have_finished_are_neither_trained_nor_scored_again(finished, packed):
    out = finished[0]
    before = {path: path.stat().st_mtime_ns for path in out.glob("fold-*/evaluations/*.json")}
    trainer = Trainer()
    result = run(packed, out, trainer, resume=True)
    assert (trainer.trained, result["finished"]) == ([], True)
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.slow
def test_train_folds_for_longer_trains_and_scores_all_again(packed, tmp_path):
    run(packed, tmp_path / "cv", Trainer(), folds=2)
    trainer = Trainer()
    run(packed, tmp_path / "cv", trainer, "train.epochs=2", resume=True)
    assert trainer.trained == ["fold-0", "fold-1"]
    step = json.loads((tmp_path / "cv" / "fold-0" / "evaluations" / "val.json").read_text())["step"]
    assert step == RunDir(str(tmp_path / "cv" / "fold-0")).checkpoints.best_record()["step"]


def test_predict_cross_validation_is_the_mean_of_its_folds(finished, tmp_path):
    out = finished[0]
    (tmp_path / "images").mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (16, 16), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "images" / "a.png")
    folds = [str(out / f"fold-{n}") for n in range(3)]
    as_folder = predict_paths(str(out), str(tmp_path / "images"), str(tmp_path / "a"))
    predict_paths(folds, str(tmp_path / "images"), str(tmp_path / "b"))
    assert as_folder["models"] == 3
    assert (tmp_path / "a" / "a.png").read_bytes() == (tmp_path / "b" / "a.png").read_bytes()


def test_evaluate_cross_validation_scores_the_test_split_into_its_folder(finished):
    out = finished[0]
    found = evaluate(str(out))
    assert (found["split"], found["overlap"], len(found["models"])) == ("test", 0, 3)
    assert (out / "evaluations" / "test.json").exists()


def test_evaluate_cross_validation_on_rows_that_folds_were_trained_on_is_refused(finished):
    with pytest.raises(InputError, match=r"out_of_fold\.json"):
        evaluate(str(finished[0]), split="val")


def test_evaluate_fold_knows_which_rows_it_was_trained_on(finished):
    fold = str(finished[0] / "fold-0")
    assert evaluate(fold, split="val")["overlap"] == 0
    assert evaluate(fold, split="train")["overlap"] == 10


def test_export_cross_validation_names_a_fold(finished, tmp_path):
    with pytest.raises(InputError, match=r"cross-validation.*fold-0"):
        export_run(str(finished[0]), tmp_path / "m.safetensors")


def test_train_folds_where_some_were_trained_is_refused(finished, packed):
    with pytest.raises(ExistsError, match="--resume"):
        run(packed, finished[0], Trainer())


@pytest.mark.slow
def test_train_folds_after_a_mistake_begins_anew(packed, tmp_path):
    out = tmp_path / "cv"
    with pytest.raises(ConfigError, match="in_channels"):
        run(packed, out, Trainer(), "model.in_channels=3")
    assert FoldsFolder(str(out)).exists()
    assert run(packed, out, Trainer(), folds=2)["finished"]


def test_train_folds_resumed_with_another_number_is_refused(finished, packed):
    with pytest.raises(ConfigError, match="3 folds"):
        run(packed, finished[0], Trainer(), "train.folds=5", resume=True)


def test_train_folds_more_than_groups_is_refused_before_anything_is_written(packed, tmp_path):
    with pytest.raises(ConfigError, match=r"use train\.folds=15"):
        run(packed, tmp_path / "cv", Trainer(), folds=16)
    assert not (tmp_path / "cv").exists()


def test_train_folds_in_a_sweep_are_refused(packed, tmp_path):
    config = load_config(None, [f"data.uri={packed[0]}", f"out={tmp_path}", "train.folds=3"])
    with pytest.raises(ConfigError, match="leave it out"):
        tune_sweep(config, None, Silent(), resume=False)


def test_report_of_a_cross_validation_names_a_fold(finished, capsys):
    assert main(["report", str(finished[0])]) == 2
    assert "fold-0" in capsys.readouterr().err


def test_train_folds_one_is_refused():
    with pytest.raises(ConfigError, match="leaves no row to train on"):
        load_config(None, ["train.folds=1"])


def test_train_folds_that_could_not_be_scored_is_refused(tmp_path):
    write_dataset(tmp_path / "blank", {"train": 2, "val": 1}, val_mask_value=0)
    with pytest.raises(InputError, match=r"fold \d cannot validate.*another data\.seed"):
        run((tmp_path / "blank", None), tmp_path / "cv", Trainer())
