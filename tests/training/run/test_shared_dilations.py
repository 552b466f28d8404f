"""Runs whose weights several vectors of dilations share: trained, scored, killed, resumed and loaded."""

import json
import os
import signal

import pytest

from fakes import LocalSession, final_weights, start_run, tiny_config, train
from ranks import CONTEXT
from unetpp.config.dilations import scored_networks
from unetpp.core.errors import ConfigError
from unetpp.core.rundir import RunDir
from unetpp.inference.engines.registry import load_engine
from unetpp.inference.engines.weights import load_exported
from unetpp.inference.evaluate import evaluate
from unetpp.inference.evaluation.files import read_evaluations
from unetpp.inference.evaluation.options import EvaluateOptions
from unetpp.inference.export import export_run
from unetpp.models.load import DILATION_FILE, load_run

VECTORS = ((1, 1, 1), (1, 1, 2), (1, 2, 4))


def shared_job(dataset, out, *, sandwich=False, vectors=VECTORS, distill=0.0, **train_fields):
    uri, manifest = dataset
    config = tiny_config(
        uri,
        model={"shared_dilations": vectors, "dilation": vectors[0]},
        train={"epochs": 2, "sandwich": sandwich, **train_fields},
        loss={"distill": distill},
    )
    return start_run(config.model_copy(update={"out": str(out)}), manifest)


class _KilledOutright(LocalSession):
    """Ends its process as kill -9 does: nothing is written or cleaned up."""

    def heartbeat(self, progress):
        request = super().heartbeat(progress)
        if self.steps == 4:
            os.kill(os.getpid(), signal.SIGKILL)
        return request


def train_until_killed(job):
    train(job, _KilledOutright())


class _Killed(LocalSession):
    def heartbeat(self, progress):
        request = super().heartbeat(progress)
        if self.steps == 3:
            raise KeyboardInterrupt
        return request


@pytest.fixture(scope="module")
def trained(tmp_path_factory, dataset):
    """A whole run, only read."""
    job = shared_job(dataset, tmp_path_factory.mktemp("whole") / "run", sandwich=True, ema=0.5)
    train(job)
    return job


@pytest.mark.slow
def test_run_job_every_distinct_network_is_scored_once_with_its_latency(trained):
    *_, last = RunDir(trained.run_uri).read_metrics()
    found = {
        (int(level), tuple(entry["dilation"])[: int(level) + 1])
        for entry in last["val"]["candidates"]
        for level in entry["levels"]
    }
    assert found == {(1, (1, 1)), (1, (1, 2)), *((2, vector) for vector in VECTORS)}
    assert sum(len(entry["levels"]) for entry in last["val"]["candidates"]) == len(found)
    assert all(
        values["latency_s"] > 0 for entry in last["val"]["candidates"] for values in entry["levels"].values()
    )


def test_run_job_headline_is_the_best_vector_and_the_checkpoint_names_it(trained):
    run = RunDir(trained.run_uri)
    best = max(run.read_metrics(), key=lambda epoch: epoch["val"]["dice"])["val"]
    scores = {tuple(c["dilation"]): c["levels"]["2"]["dice"] for c in best["candidates"]}
    assert best["dice"] == max(scores.values()) == scores[tuple(best["dilation"])]
    found = run.checkpoints.best()
    assert found is not None
    assert json.loads(found[1][DILATION_FILE]) == best["dilation"]
    loaded = load_run(trained.run_uri)
    assert list(loaded.model.dilation) == best["dilation"] == list(loaded.config.model.dilation)


@pytest.mark.parametrize("vector", VECTORS)
def test_evaluate_a_vector_scores_what_validation_reported(trained, vector):
    run = RunDir(trained.run_uri)
    best = max(run.read_metrics(), key=lambda epoch: epoch["val"]["dice"])["val"]
    reported = next(c for c in best["candidates"] if tuple(c["dilation"]) == vector)["levels"]["2"]
    scored = evaluate(trained.run_uri, split="val", options=EvaluateOptions(dilation=tuple(vector)))
    assert scored["dilation"] == list(vector)
    assert scored["levels"]["2"]["dice"] == reported["dice"]
    assert f"val-dilation{'.'.join(map(str, vector))}" in read_evaluations(run.storage)


def test_load_run_first_rows_are_the_level_they_belong_to(trained):
    loaded = load_run(trained.run_uri, dilation=(1, 2))
    assert (loaded.model.depth, loaded.model.dilation) == (1, (1, 2))


def test_load_run_other_dilations_are_refused(trained, tmp_path, dataset):
    with pytest.raises(ConfigError, match=r"level=2 needs a dilation for each row 0..2; it has 2"):
        load_run(trained.run_uri, level=2, dilation=(1, 1))
    with pytest.raises(ConfigError, match=r"dilation=\[3, 3, 3\] must be one of .*\[1, 2, 4\]"):
        load_run(trained.run_uri, dilation=(3, 3, 3))
    uri, manifest = dataset
    plain = start_run(
        tiny_config(uri, train={"epochs": 1}).model_copy(update={"out": str(tmp_path / "plain")}), manifest
    )
    train(plain)
    with pytest.raises(ConfigError, match="this run has none"):
        load_run(plain.run_uri, dilation=(1, 1, 1))


@pytest.mark.slow
@pytest.mark.parametrize(("sandwich", "distill"), [(False, 0.0), (True, 0.0), (False, 1.0)])
def test_run_job_killed_and_resumed_ends_with_the_same_weights(tmp_path, dataset, sandwich, distill):
    options = {"sandwich": sandwich, "distill": distill}
    whole = shared_job(dataset, tmp_path / "whole", **options)
    train(whole)
    job = shared_job(dataset, tmp_path / "killed", checkpoint_every_steps=2, **options)
    with pytest.raises(KeyboardInterrupt):
        train(job, _Killed())
    train(job)
    assert final_weights(job) == final_weights(whole)


@pytest.mark.slow
def test_run_job_killed_outright_and_resumed_ends_with_the_same_weights_and_scores(tmp_path, dataset):
    options = {"sandwich": True, "distill": 1.0, "ema": 0.5, "checkpoint_every_steps": 3}
    whole, killed = (shared_job(dataset, tmp_path / name, **options) for name in ("whole", "killed"))
    train(whole)
    process = CONTEXT.Process(target=train_until_killed, args=(killed,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert RunDir(killed.run_uri).checkpoints.steps() == [3]
    train(killed)
    assert final_weights(killed) == final_weights(whole)
    scores = (
        [
            [(entry["dilation"], level, values["dice"]) for level, values in entry["levels"].items()]
            for epoch in RunDir(job.run_uri).read_metrics()
            for entry in epoch["val"]["candidates"]
        ]
        for job in (killed, whole)
    )
    assert next(scores) == next(scores)


@pytest.mark.slow
def test_run_job_one_shared_vector_trains_as_that_vector_alone(tmp_path, dataset):
    uri, manifest = dataset
    alone = start_run(
        tiny_config(uri, model={"dilation": (1, 2, 4)}, train={"epochs": 2}).model_copy(
            update={"out": str(tmp_path / "alone")}
        ),
        manifest,
    )
    train(alone)
    shared = shared_job(dataset, tmp_path / "shared", vectors=((1, 2, 4),))
    train(shared)
    assert final_weights(shared) == final_weights(alone)


@pytest.mark.parametrize("dilation", [(1, 2), (1, 1, 2), (1, 2, 4)])
def test_export_run_a_vector_is_cut_out_bit_for_bit(trained, tmp_path, dilation):
    written = export_run(trained.run_uri, tmp_path / "m.safetensors", dilation=dilation)
    assert (written["level"], written["max_abs_diff"]) == (len(dilation) - 1, 0.0)
    assert load_exported(tmp_path / "m.safetensors").network.dilation == dilation


@pytest.mark.parametrize("dilation", [(1, 2), (1, 1, 2), (1, 2, 4)])
def test_export_run_a_vector_carries_its_own_scores(trained, tmp_path, dilation):
    file = tmp_path / "m.safetensors"
    export_run(trained.run_uri, file, dilation=dilation)
    run = RunDir(trained.run_uri)
    step = load_run(trained.run_uri).step
    (epoch,) = (epoch for epoch in run.read_metrics() if epoch["step"] == step)
    scores = dict(scored_networks(epoch))[len(dilation) - 1, dilation]
    assert load_engine(file).description.metrics["dice"] == scores["dice"]
