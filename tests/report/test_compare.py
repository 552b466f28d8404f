"""Runs side by side and the paired difference."""

import json

import numpy as np
import pytest

from unetpp.config.run import RunConfig
from unetpp.config.sections.train import OptimConfig
from unetpp.core.errors import InputError
from unetpp.report.compare import compare_runs, config_differences


@pytest.mark.slow
def test_compare_evaluated_runs_pairs_their_images(write_run):
    generator = np.random.default_rng(0)
    base = generator.uniform(0.5, 0.8, 30)
    runs = [write_run("a", dice=base.tolist()), write_run("b", dice=(base + 0.1).tolist(), width=8)]
    result = compare_runs(runs)
    assert result["split"] == "test"
    (pair,) = result["paired"]
    assert pair["mean_difference"] == pytest.approx(0.1)
    assert pair["distinguishable"]
    assert pair["images"] == 30
    assert pair["p_value"] < 0.05
    assert result["config"] == {"model.width": [4, 8]}
    assert result["runs"][1]["params"] > result["runs"][0]["params"]
    assert set(result["runs"][0]["levels"]) == {"1", "2", "3"}
    assert json.loads(json.dumps(result)) == result


def test_compare_without_common_evaluation_uses_best_validation(write_run):
    result = compare_runs([write_run("a", dice=[0.9, 0.8]), write_run("b")])
    assert result["split"] is None
    assert result["paired"] == []
    assert result["runs"][0]["dice"] == pytest.approx(0.8)


def test_compare_evaluations_of_other_data_are_not_paired(write_run):
    runs = [write_run("a", dice=[0.9, 0.8]), write_run("b", dice=[0.9, 0.8], fingerprint="e" * 64)]
    assert compare_runs(runs)["split"] is None


def test_compare_run_without_epochs_has_no_scores(write_run):
    result = compare_runs([write_run("a"), write_run("b", epochs=0, finished=False)])
    assert result["runs"][1]["dice"] is None
    assert not result["runs"][1]["finished"]


@pytest.mark.parametrize("names", [["a"], ["a", "a"]])
def test_compare_needs_two_different_runs(write_run, names):
    run = write_run("a")
    with pytest.raises(InputError):
        compare_runs([run for _ in names])


def test_config_differences_leave_out_names_and_equal_fields():
    configs = [RunConfig(out="x"), RunConfig(out="y", optim=OptimConfig(lr=0.1))]
    assert config_differences(configs) == {"optim.lr": [0.001, 0.1]}
