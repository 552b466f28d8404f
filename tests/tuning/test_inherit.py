"""A trial begins with the weights of the finished trial that has most of them, and says so."""

import shutil

import pytest
import safetensors.torch
import torch

from sweeps import epoch_metrics
from unetpp.config import RunConfig, load_config
from unetpp.core.errors import ConfigError
from unetpp.core.rundir import RunDir
from unetpp.models import build_model
from unetpp.models.initial import initial_weights
from unetpp.models.load import MODEL_FILE
from unetpp.training.run.create import create_run
from unetpp.tuning.inherit import weights_shared
from unetpp.tuning.results.confirm import candidates
from unetpp.tuning.results.leaderboard import leaderboard, sweep_summary

RATES = 'def space(trial):\n    return {"optim.lr": trial.suggest_float("optim.lr", 1e-4, 1e-2, log=True)}\n'
WIDTHS = """
def space(trial):
    return {"model.width": [2, 3, 2, 3][trial.number], "train.seed": trial.number}
"""
DEPTHS = 'def space(trial):\n    return {"model.depth": 2 + trial.number}\n'
SAME = 'def space(trial):\n    return {"optim.lr": [0.01, 0.02, 0.02, 0.02][trial.number]}\n'


def begin(ledger):
    """The next trial, its run folder there and its first weights random."""
    spec = ledger.next_trial()
    run = RunDir(spec.config.run_uri)
    run.create(spec.config.model_dump(mode="json"), [], ledger.setup.manifest, {})
    weights = safetensors.torch.save(build_model(spec.config.model).state_dict())
    run.checkpoints.save(1, {MODEL_FILE: weights})
    return spec


def play(ledger, dice=0.8):
    spec = begin(ledger)
    ledger.report(spec.number, epoch_metrics(9, dice, finished=True))
    ledger.end(spec.number)
    return spec


def test_inherit_is_off_unless_asked_for(open_ledger):
    ledger = open_ledger(source=RATES)
    play(ledger)
    assert ledger.next_trial().config.train.init == ""


@pytest.mark.slow
def test_inherit_takes_the_best_of_equal_networks_and_is_told_with_the_trial(open_ledger):
    ledger = open_ledger("tune.inherit=true", source=RATES)
    first, second, third = (play(ledger, dice) for dice in (0.5, 0.9, 0.7))
    assert first.config.train.init == ""
    assert second.config.train.init == first.config.run_uri
    assert third.config.train.init == second.config.run_uri
    assert RunConfig.model_validate(third.config.model_dump(mode="json")) == third.config
    assert {row.trial: row.inherits for row in leaderboard(ledger.study)} == {0: None, 1: 0, 2: 1}
    summary = sweep_summary(ledger.study)
    assert summary["best"]["inherits"] == 0
    assert all(("inherits" in row) == (row["trial"] > 0) for row in summary["pareto"])


@pytest.mark.slow
def test_inherit_takes_a_network_that_fits_before_a_better_one_and_none_that_does_not(open_ledger):
    ledger = open_ledger("tune.inherit=true", "tune.scheduler=none", source=WIDTHS)
    narrow, wide = play(ledger, 0.5), play(ledger, 0.9)
    assert wide.config.train.init == ""
    assert play(ledger).config.train.init == narrow.config.run_uri
    assert play(ledger).config.train.init == wide.config.run_uri


@pytest.mark.parametrize("gone", ["checkpoints", ""])
def test_inherit_a_checkpoint_that_is_gone_is_said(open_ledger, caplog, gone):
    ledger = open_ledger("tune.inherit=true", source=RATES)
    first = play(ledger)
    shutil.rmtree(f"{first.config.run_uri}/{gone}")
    if not gone:
        ledger = open_ledger("tune.inherit=true", source=RATES)
    assert ledger.next_trial().config.train.init == ""
    assert f"the weights of trial 0, {first.config.run_uri}: " in caplog.text
    assert "it is gone" in caplog.text or "no checkpoint is there" in caplog.text


@pytest.mark.slow
def test_inherit_a_resumed_trial_keeps_its_source_and_its_repeats(open_ledger):
    options = {"source": SAME}
    ledger = open_ledger("tune.inherit=true", **options)
    first, second = play(ledger), begin(ledger)
    resumed = open_ledger("tune.inherit=true", **options)
    again = resumed.next_trial()
    assert (again.number, again.config.train.init) == (second.number, first.config.run_uri)
    assert RunConfig.model_validate(again.config.model_dump(mode="json")) == again.config
    assert resumed.next_trial() is None, "the two others are repeats of it"
    resumed.report(again.number, epoch_metrics(9, 0.8, finished=True))
    resumed.end(again.number)
    assert sweep_summary(resumed.study)["trials"]["repeated"] == 2


@pytest.mark.slow
def test_inherit_deeper_network_computes_at_its_levels_what_the_other_did(open_ledger):
    ledger = open_ledger("tune.inherit=true", source=DEPTHS)
    source, grown = play(ledger).config, ledger.next_trial().config
    assert grown.train.init == source.run_uri
    deeper = grown.model
    found = initial_weights(deeper, ledger.setup.manifest, source.run_uri)
    network = build_model(deeper).eval()
    network.load_state_dict(found.weights, strict=False)
    stored = safetensors.torch.load(RunDir(source.run_uri).checkpoints.best()[1][MODEL_FILE])
    other = build_model(source.model).eval()
    other.load_state_dict(stored)
    image = torch.randn(2, 1, 32, 32)
    with torch.no_grad():
        new, old = network(image).levels, other(image).levels
    for own, known in zip(new[:2], old, strict=True):
        assert torch.equal(own, known)
    assert weights_shared(source.model, deeper) == 1
    assert 0 < weights_shared(deeper, source.model) < 0.5


def test_inherit_the_run_says_what_it_took(open_ledger):
    ledger = open_ledger("tune.inherit=true", source=RATES)
    first, spec = play(ledger), ledger.next_trial()
    create_run(spec.config, [], ledger.setup.manifest, {})
    run = RunDir(spec.config.run_uri)
    (told,) = (entry for entry in run.read_decisions() if entry["field"] == "train.init")
    assert told["value"] == first.config.run_uri
    assert "weights are those of" in told["reason"]
    assert run.read_initial() is not None


def test_confirm_trains_from_random_weights(open_ledger):
    ledger = open_ledger("tune.inherit=true", source=RATES)
    play(ledger, 0.5), play(ledger, 0.9)
    best, _ = candidates(leaderboard(ledger.study), 2, ledger.setup.sweep_uri)
    assert (best.trial, best.config.train.init) == (1, "")


def test_config_inherit_beside_another_source_is_refused():
    with pytest.raises(ConfigError, match=r"train.init=run another; leave one of them out"):
        load_config(None, ["tune.inherit=true", "train.init=run"])
