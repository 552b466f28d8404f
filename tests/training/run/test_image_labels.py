"""Runs that are judged by labels of whole images."""

import itertools
import json
from dataclasses import replace

import pytest
import torch

from fakes import LocalSession, start_run, tiny_config, train, write_dataset
from unetpp.config.planning.requirements import check_dataset
from unetpp.core.errors import InputError
from unetpp.core.rundir import RunDir
from unetpp.core.storage import open_storage
from unetpp.data.dataset.parquet import encode_shard, iter_samples, shard_info
from unetpp.report.run.data import load_run_data
from unetpp.report.run.page import render_run_report
from unetpp.training.run.rank import run_job

CPU = torch.device("cpu")


def labelled_job(folder, metric: str, *, labelled: bool = True, **fields):
    manifest = write_dataset(folder / "data", {"train": 8, "val": 6}, labelled=labelled)
    named = manifest.model_copy(update={"image_labels": ("upper", "lower")})
    config = tiny_config(
        str(folder / "data"),
        model={"image_classes": 2},
        tune={"metric": metric},
        optim={"lr": 0.02},
        train={"epochs": 6, **fields},
    )
    return start_run(config.model_copy(update={"out": str(folder / "run")}), named)


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["label_accuracy", "dice_and_labels"])
def test_label_metric_chooses_the_best_checkpoint_and_what_patience_waits_for(tmp_path, metric):
    job = labelled_job(tmp_path, metric, patience=2)
    state = train(job)
    epochs = RunDir(job.run_uri).read_metrics()
    values = [epoch["val"][metric] for epoch in epochs]
    assert state.best_value == max(values)
    assert state.best_epoch == epochs[values.index(max(values))]["epoch"]
    assert len(values) - 1 - values.index(max(values)) == state.validations_since_best
    found = RunDir(job.run_uri).checkpoints.best()
    assert found is not None
    assert json.loads(found[1]["state.json"])["best_epoch"] == state.best_epoch
    assert [metric in values for values in epochs[0]["val"]["levels"].values()] == [False, True]
    page = render_run_report(load_run_data(job.run_uri))
    assert "Label accuracy" in page
    assert "Labels of whole images" in page
    assert "Validation label accuracy" in page


def test_label_metric_of_a_validation_split_without_labels_is_refused(tmp_path):
    with pytest.raises(InputError, match="needs images with a label in the split val; none has one"):
        train(labelled_job(tmp_path, "label_accuracy", labelled=False))


@pytest.mark.slow
def test_label_metric_of_minutes_does_not_need_a_label_in_the_batches_that_are_timed(tmp_path):
    job = labelled_job(tmp_path, "label_accuracy", minutes=1.0)
    storage, split = open_storage(job.config.data.uri), job.manifest.splits["val"]
    samples = list(iter_samples(storage, job.manifest, "val"))
    part = [replace(sample, label=None) for sample in samples[:-1]] + samples[-1:]
    data = encode_shard(part)
    info = shard_info("val", 0, part, data)
    storage.write(info.name, data)
    splits = job.manifest.splits | {"val": split.model_copy(update={"shards": (info,)})}
    session, clock = LocalSession(), itertools.count(0.0, 0.4).__next__
    run_job(replace(job, manifest=job.manifest.model_copy(update={"splits": splits})), session, CPU, clock)
    assert session.reports[-1]["val"]["image_labels"]["images"] == 1


def test_label_metric_without_the_head_is_refused_before_training(dataset):
    uri, manifest = dataset
    (message,) = check_dataset(tiny_config(uri, tune={"metric": "dice_and_labels"}), manifest)
    assert "needs a head for labels of whole images" in message
