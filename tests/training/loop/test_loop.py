"""What one worker's loop learns, counts and refuses."""

import dataclasses
import math

import pytest

from fakes import LocalSession, final_weights, start_run, tiny_config, train, write_dataset
from unetpp.core.errors import ConfigError, ExistsError, NonFiniteError, UnetppError
from unetpp.core.rundir import RunDir
from unetpp.inference.evaluate import evaluate


def job_for(tmp_path, dataset, name="run", **sections):
    uri, manifest = dataset
    config = tiny_config(uri, **sections).model_copy(update={"out": str(tmp_path / name)})
    return start_run(config, manifest)


@pytest.mark.slow
def test_training_learns_the_squares(tmp_path, dataset):
    job = job_for(tmp_path, dataset, train={"epochs": 12}, optim={"lr": 0.02})
    session = LocalSession()
    state = train(job, session)
    assert state.finished
    assert session.reports[-1]["loss"] < 0.6 * session.reports[0]["loss"]
    assert state.best_value is not None
    assert state.best_value > 0.7


@pytest.mark.slow
def test_training_twice_gives_the_same_weights(tmp_path, dataset):
    jobs = [job_for(tmp_path, dataset, name) for name in ("a", "b")]
    for job in jobs:
        train(job)
    assert final_weights(jobs[0]) == final_weights(jobs[1])


def test_training_counts_every_row_each_epoch(tmp_path, dataset):
    session = LocalSession()
    train(job_for(tmp_path, dataset, data={"batch_size": 5}), session)
    assert [report["images"] for report in session.reports] == [18, 18, 18]
    assert [report["step"] for report in session.reports] == [4, 8, 12]


def test_training_with_a_cache_fetches_once_and_reports_what_was_saved(tmp_path, dataset):
    session = LocalSession()
    cache = {"cache_bytes": 2**30, "cache_dir": str(tmp_path / "cache")}
    train(job_for(tmp_path, dataset, data=cache), session)
    total = sum(shard.bytes for shard in dataset[1].splits["train"].shards)
    caches = [report["cache"] for report in session.reports]
    assert [cache["bytes_fetched"] for cache in caches] == [total, 0, 0]
    assert [cache["hit_rate"] for cache in caches[1:]] == [1.0, 1.0]
    assert all(cache["bytes_saved"] >= total for cache in caches[1:])


def test_training_drop_last_leaves_out_the_short_batch(tmp_path, dataset):
    session = LocalSession()
    train(job_for(tmp_path, dataset, data={"batch_size": 5, "drop_last": True}), session)
    assert {report["images"] for report in session.reports} == {15}


@pytest.mark.slow
def test_training_accumulation_gives_the_same_loss_curve(tmp_path, dataset):
    curves = []
    for name, accumulate in (("one", 1), ("four", 4)):
        session = LocalSession()
        train(
            job_for(tmp_path, dataset, name, train={"accumulate": accumulate}, optim={"name": "sgd"}), session
        )
        curves.append([report["loss"] for report in session.reports])
    assert curves[0] == pytest.approx(curves[1], rel=1e-4)


@pytest.mark.slow
def test_training_validates_on_the_schedule_and_at_the_end(tmp_path, dataset):
    session = LocalSession()
    train(job_for(tmp_path, dataset, train={"epochs": 5, "validate_every": 2}), session)
    assert [report["epoch"] for report in session.reports if "val" in report] == [2, 4, 5]
    levels = session.reports[-1]["val"]["levels"]
    assert set(levels) == {"1", "2"}


def test_training_without_improvement_stops_after_patience(tmp_path, dataset):
    session = LocalSession()
    # A learning rate this small cannot change a single prediction, so the first score stays the best.
    job = job_for(tmp_path, dataset, train={"epochs": 9, "patience": 2}, optim={"lr": 1e-12})
    state = train(job, session)
    assert state.finished
    assert len(session.reports) == 3


def test_training_skipped_steps_leave_the_loss_of_their_epoch_and_are_counted(tmp_path, dataset):
    """The first steps blow the weights up: nothing can be learnt from any that follows."""
    optim, most = {"name": "sgd", "lr": 1e30}, {"max_nonfinite": 99, "clip": 0, "epochs": 2}
    session = LocalSession()
    train(job_for(tmp_path, dataset, optim=optim, train=most), session)
    first, second = session.reports
    assert 0 < first["skipped_steps"] < second["skipped_steps"] == 5
    assert second["nonfinite_steps"] == first["skipped_steps"] + 5
    assert first["images"] == second["images"] == 18
    # The loss of a network that knows nothing: the steps that were skipped do not pull it down.
    assert first["loss"] > 0.5
    assert math.isnan(second["loss"])


def test_training_diverging_run_stops_with_a_typed_error(tmp_path, dataset):
    job = job_for(tmp_path, dataset, optim={"name": "sgd", "lr": 1e30}, train={"max_nonfinite": 2, "clip": 0})
    with pytest.raises(NonFiniteError, match=r"max_nonfinite=2"):
        train(job)


def test_training_stream_that_ends_early_is_an_error(tmp_path, dataset):
    class ShortSession(LocalSession):
        def batches(self, plan, start):
            for index, batch in enumerate(super().batches(plan, start)):
                if index == 2:
                    return
                yield batch

    with pytest.raises(UnetppError, match="train step 2 of epoch 0"):
        train(job_for(tmp_path, dataset), ShortSession())


def test_training_stream_that_loses_a_row_is_an_error(tmp_path, dataset):
    class LossySession(LocalSession):
        def batches(self, plan, start):
            for batch in super().batches(plan, start):
                weights = batch.weights.copy()
                weights[0] = 0
                yield dataclasses.replace(batch, weights=weights)

    with pytest.raises(UnetppError, match="train step 0 of epoch 0 must hold"):
        train(job_for(tmp_path, dataset), LossySession())


def test_run_folder_with_a_run_is_never_overwritten(tmp_path, dataset):
    job = job_for(tmp_path, dataset)
    with pytest.raises(ExistsError, match="--resume"):
        start_run(job.config, job.manifest)


@pytest.mark.slow
def test_training_broken_last_checkpoint_continues_from_the_one_before(tmp_path, dataset):
    job = job_for(tmp_path, dataset)
    train(job)
    run = RunDir(job.run_uri)
    whole = final_weights(job)
    newest = run.checkpoints.steps()[-1]
    path = run.storage.local_path(f"checkpoints/step-{newest:08d}/model.safetensors")
    path.write_bytes(path.read_bytes()[:-1] + b"\x00\x01")
    session = LocalSession()
    train(job, session)
    assert [report["epoch"] for report in session.reports] == [3]
    assert final_weights(job) == whole
    assert [epoch["epoch"] for epoch in run.read_metrics()] == [1, 2, 3]


def test_training_with_image_labels_scores_them_on_every_validated_row(tmp_path):
    manifest = write_dataset(tmp_path / "data", {"train": 6, "val": 5}, labelled=True)
    dataset = str(tmp_path / "data"), manifest
    job = job_for(tmp_path, dataset, model={"image_classes": 2}, loss={"image": 1.0}, train={"epochs": 1})
    session = LocalSession()
    train(job, session)
    validated = session.reports[-1]["val"]["image_labels"]
    assert validated["images"] == 5
    assert [entry["name"] for entry in validated["classes"]] == ["upper", "lower"]
    evaluated = evaluate(job.run_uri, split="val")["image_labels"]
    assert evaluated == validated


def test_compiling_without_a_compiler_says_so_at_once(tmp_path, dataset, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    job = job_for(tmp_path, dataset, train={"compile": True})
    with pytest.raises(ConfigError, match=r"train.compile=true needs a C\+\+ compiler.*no-such-compiler"):
        train(job)


@pytest.mark.slow
def test_training_in_bf16_stopped_and_resumed_gives_the_same_weights(tmp_path, dataset):
    fields = {
        "train": {"precision": "bf16", "checkpoint_every_steps": 1},
        "model": {"norm": "group", "width": 8},
    }
    whole, parts = (job_for(tmp_path, dataset, name, **fields) for name in ("whole", "parts"))
    train(whole)
    train(parts, LocalSession(stop_after=3))
    train(parts)
    assert final_weights(parts) == final_weights(whole)
