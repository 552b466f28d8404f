"""A sweep whose trials hold all depths and dilations, without Ray, to the file it ends in."""

import json

import pytest
import torch

from fakes import LocalSession, train, write_dataset
from sweeps import start_sweep
from unetpp.cli.main import run
from unetpp.core.errors import ConfigError
from unetpp.core.rundir import RunDir
from unetpp.inference.engines.weights import load_exported
from unetpp.models.load import load_whole
from unetpp.report.sweep.data import load_sweep_data
from unetpp.report.sweep.page import render_sweep_report
from unetpp.training.run.job import TrainJob
from unetpp.tuning.folder import load_sweep
from unetpp.tuning.ledger import Ledger
from unetpp.tuning.results.confirm import candidates, confirm
from unetpp.tuning.results.confirmed import called_best, read_confirmed, winner_run
from unetpp.tuning.results.leaderboard import leaderboard, sweep_summary
from unetpp.tuning.shared_network import shared_network

SPACE = """
def space(trial):
    depth = trial.suggest_int("model.depth", 1, 2)
    dilation = [trial.suggest_categorical(f"model.dilation.{row}", [1, 2]) for row in range(1, depth + 1)]
    return {
        "model.depth": depth,
        "model.dilation": [1, *dilation],
        "loss.dice": trial.suggest_float("loss.dice", 0.5, 1.0),
    }
"""
NETWORKS = {(1, (1, 1)), (1, (1, 2)), (2, (1, 1, 1)), (2, (1, 1, 2)), (2, (1, 2, 1)), (2, (1, 2, 2))}


def play(ledger: Ledger) -> None:
    """Train every trial here, as its actor does."""
    while (spec := ledger.next_trial()) is not None:
        folder = RunDir(spec.config.run_uri)
        folder.create(spec.config.model_dump(mode="json"), [], ledger.setup.manifest, {})
        session = LocalSession()
        train(TrainJob(spec.config, ledger.setup.manifest, folder.uri), session)
        for metrics in session.reports:
            ledger.report(spec.number, json.loads(json.dumps(metrics)))
        ledger.end(spec.number)


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """URI and ledger of a finished sweep of two trials; only read."""
    folder = tmp_path_factory.mktemp("one-shot")
    write_dataset(folder / "data", {"train": 12, "val": 5, "test": 4})
    overrides = ["tune.one_shot=depth+dilation", "tune.trials=2", "train.epochs=2", "tune.scheduler=none"]
    sweep = start_sweep(folder, folder / "data", *overrides, source=SPACE)
    ledger = Ledger(sweep.setup, sweep.study)
    play(ledger)
    return f"{folder}/sweep", ledger


@pytest.mark.slow
def test_sweep_every_trial_returns_every_network_with_quality_and_latency(swept):
    uri, _ = swept
    rows = leaderboard(load_sweep(uri)[1])
    for trial in (0, 1):
        own = [row for row in rows if row.trial == trial]
        assert {row.network for row in own} == NETWORKS
        assert len(own) == len(NETWORKS)
    assert all(row.latency_s > 0 for row in rows)
    # Equal networks have one latency and one price.
    assert len({(row.network, row.latency_s, row.params, row.macs) for row in rows}) == len(NETWORKS)


@pytest.mark.slow
def test_sweep_result_has_candidates_best_first(swept):
    uri, ledger = swept
    summary = json.loads(json.dumps(sweep_summary(load_sweep(uri)[1])))
    found = summary["candidates"]
    assert len(found) == 2 * len(NETWORKS)
    assert {"trial", "level", "dilation", "value", "latency_s", "params"} <= found[0].keys()
    assert [entry["value"] for entry in found] == sorted((e["value"] for e in found), reverse=True)
    assert found[0]["params"].keys() == {"loss.dice"}
    named = ("trial", "level", "dilation", "value", "params")
    assert summary["best"] == {key: found[0][key] for key in named}
    best = ledger.best()
    assert best is not None
    assert best.network == (found[0]["level"], tuple(found[0]["dilation"]))


@pytest.mark.slow
@pytest.mark.parametrize("number", [0, 3, 7])
def test_export_candidate_is_its_scored_head_bit_for_bit(swept, tmp_path, number):
    uri, _ = swept
    listed = sweep_summary(load_sweep(uri)[1])["candidates"][number]
    assert run(["export", uri, "--candidate", str(number), "--out", str(tmp_path / "m.safetensors")]) == 0
    network = load_exported(tmp_path / "m.safetensors").network.eval()
    assert (network.depth, list(network.dilation)) == (listed["level"], listed["dilation"])
    found = shared_network(uri, number)
    whole = load_whole(found.run_uri, dilation=found.dilation).model
    images = torch.randn(2, 1, 16, 16)
    with torch.no_grad():
        assert torch.equal(network(images).levels[0], whole(images).levels[found.level - 1])


def test_export_candidate_that_is_none_is_refused(swept, tmp_path, capsys):
    uri, _ = swept
    out = ("--out", str(tmp_path / "m.safetensors"))
    assert run(["export", uri, "--candidate", "12", *out]) == 2
    assert "--candidate=12 must be within 0..11" in capsys.readouterr().err
    assert run(["export", uri, "--candidate", "0", "--level", "1", *out]) == 2
    assert "leave --level and --dilation out" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="within"):
        shared_network(uri, -1)


@pytest.mark.slow
def test_report_and_evaluate_name_the_network(swept, capsys):
    uri, _ = swept
    page = render_sweep_report(load_sweep_data(uri))
    best = leaderboard(load_sweep(uri)[1])[0]
    rows = ",".join(map(str, best.dilation))
    assert f"level {best.level} at dilation {rows}" in page
    assert f"--dilation {rows}" in page
    trial = f"{uri}/trials/{best.trial:04d}"
    assert run(["evaluate", trial, "--split", "val", "--dilation", rows, "--json"]) == 0
    scored = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert scored["levels"][str(best.level)]["dice"] == pytest.approx(best.quality, abs=1e-12)


@pytest.mark.slow
def test_confirm_trains_the_best_networks_by_themselves(swept):
    uri, ledger = swept
    rows = leaderboard(load_sweep(uri)[1])
    chosen = candidates(rows, 2, uri)
    assert [(c.trial, c.level, c.dilation) for c in chosen] == [(r.trial, *r.network) for r in rows[:2]]
    for candidate in chosen:
        model = candidate.config.model
        assert (model.depth, model.dilation, model.shared_dilations) == (
            candidate.level,
            candidate.dilation,
            (),
        )
    result = confirm(chosen, ledger.setup.manifest, uri, lambda job: train(job).finished)
    assert result is not None
    assert read_confirmed(uri) == result
    winner = called_best(rows, result)
    assert winner is not None
    first = result["candidates"][0]
    assert (winner.trial, winner.level, list(winner.dilation)) == (
        first["trial"],
        first["level"],
        first["dilation"],
    )
    config = RunDir(winner_run(uri, result)).read_config()
    assert config["model"]["dilation"] == first["dilation"]
    page = render_sweep_report(load_sweep_data(uri))
    assert "Confirmed" in page
