"""A sweep whose trials are a population, without Ray: what its study, its runs and its report say."""

import json

import pytest
from optuna.trial import TrialState

from fakes import LocalSession, train
from sweeps import epoch_metrics, start_sweep
from unetpp.config import RunConfig
from unetpp.core.errors import ConfigError
from unetpp.core.rundir import RunDir
from unetpp.report.sweep.data import load_sweep_data
from unetpp.report.sweep.page import render_sweep_report
from unetpp.training.run.create import create_run
from unetpp.training.run.job import TrainJob
from unetpp.tuning.ledger import Ledger
from unetpp.tuning.population.takeover import take_over
from unetpp.tuning.results.confirm import candidates
from unetpp.tuning.results.importance import parameter_importances
from unetpp.tuning.results.leaderboard import leaderboard, sweep_summary
from unetpp.tuning.study.epochs import epoch_records, kept_levels
from unetpp.tuning.study.exploits import Exploit, dump_exploit, exploit_key, recorded_exploits
from unetpp.tuning.study.record import TrialRecord

SPACE = 'def space(trial):\n    return {"loss.ce": trial.suggest_float("loss.ce", 0.1, 2.0)}\n'
PBT = ("tune.scheduler=pbt", "tune.grace_epochs=2", "tune.reduction_factor=2", "train.epochs=4")
OTHER = {
    "model.depth": 'trial.suggest_int("model.depth", 1, 2)',
    "optim.lr": 'trial.suggest_float("optim.lr", 1e-4, 1e-2)',
    "data.batch_size": 'trial.suggest_categorical("data.batch_size", [2, 4])',
}


class _StoppedError(Exception):
    pass


class _Session(LocalSession):
    def __init__(self, ledger, number):
        super().__init__()
        self._ledger, self._number = ledger, number

    def report(self, metrics):
        if self._ledger.report(self._number, json.loads(json.dumps(metrics))) == "stop":
            raise _StoppedError


def play(ledger, most=100):
    """Launch so many trials, each trained as its actor does; the specs."""
    launched = []
    while len(launched) < most and (spec := ledger.next_trial()) is not None:
        launched.append(spec)
        run = RunDir(spec.config.run_uri)
        if not run.exists():
            create_run(spec.config, [], ledger.setup.manifest, {})
        if spec.takeover is not None:
            take_over(spec.config, spec.takeover)
        session = _Session(ledger, spec.number)
        try:
            for metrics in run.read_metrics():
                session.report(metrics)
            train(TrainJob(spec.config, ledger.setup.manifest, run.uri), session)
        except _StoppedError:
            pass
        ledger.end(spec.number)
    return launched


@pytest.fixture(scope="module")
def swept(tmp_path_factory, dataset):
    """URI, ledger and launched specs of a finished sweep of four trials; only read."""
    folder = tmp_path_factory.mktemp("population")
    sweep = start_sweep(folder, dataset[0], *PBT, "tune.trials=4", source=SPACE)
    ledger = Ledger(sweep.setup, sweep.study)
    return f"{folder}/sweep", ledger, play(ledger)


def exploits(ledger):
    return {
        trial.number: found
        for trial in ledger.study.trials
        if (found := recorded_exploits(trial, epoch_records(trial)))
    }


@pytest.mark.slow
def test_population_every_trial_ends_complete_and_some_took_over(swept):
    _, ledger, launched = swept
    assert [trial.state for trial in ledger.study.trials] == [TrialState.COMPLETE] * 4
    found = exploits(ledger)
    assert found
    assert len(launched) == 4 + sum(map(len, found.values()))
    assert not ledger.interrupted


def test_population_an_exploit_names_donor_epoch_and_both_losses(swept):
    uri, ledger, launched = swept
    for number, (exploit,) in exploits(ledger).items():
        spec = next(s for s in launched if s.number == number and s.takeover is not None)
        (first,) = (s for s in launched if s.number == number and s.takeover is None)
        assert (spec.takeover.epoch, exploit.epoch) == (2, 2)
        assert spec.takeover.donor_uri == f"{uri}/trials/{exploit.donor:04d}"
        assert first.config.loss.model_dump(mode="json") == exploit.before
        assert spec.config.loss.model_dump(mode="json") == exploit.after
        donor = epoch_records(ledger.study.trials[exploit.donor])[2].levels
        own = epoch_records(ledger.study.trials[number])[2].levels
        assert max(found.quality for found in donor) > max(found.quality for found in own)
        assert RunDir(spec.config.run_uri).read_config()["loss"] == exploit.after


def test_population_results_are_those_of_the_weights_that_are_there(swept):
    _, ledger, _ = swept
    for number in exploits(ledger):
        records = epoch_records(ledger.study.trials[number])
        kept = kept_levels(records)
        assert kept in [records[epoch].levels for epoch in (3, 4)]
        run = RunDir(f"{ledger.setup.sweep_uri}/trials/{number:04d}")
        value = max(found.quality for found in kept if found.level == 2)
        assert run.checkpoints.best_record()["value"] == value


@pytest.mark.slow
def test_population_result_and_report_tell_every_exploit(swept):
    uri, ledger, _ = swept
    found = exploits(ledger)
    summary = json.loads(json.dumps(sweep_summary(ledger.study)))
    assert [(e["trial"], e["donor"], e["epoch"]) for e in summary["exploits"]] == [
        (number, exploit.donor, exploit.epoch) for number, made in found.items() for exploit in made
    ]
    assert all(e["before"].keys() == e["after"].keys() for e in summary["exploits"])
    for row in summary["pareto"]:
        changed = found[row["trial"]][-1].changed if row["trial"] in found else {}
        assert row.get("loss", {}) == {name: after for name, (_, after) in changed.items()}
    page = render_sweep_report(load_sweep_data(uri))
    assert "Population" in page
    for number, (exploit,) in found.items():
        assert f"complete, with the weights of trial {exploit.donor} from epoch 3 on" in page
        before, after = exploit.changed["ce"]
        assert f"ce {before:.4g} to {after:.4g}" in page
        row = next(row for row in leaderboard(ledger.study) if row.trial == number)
        assert row.exploits == (exploit,)


def test_population_confirm_trains_with_the_last_loss(swept):
    uri, ledger, _ = swept
    found = exploits(ledger)
    for candidate in candidates(leaderboard(ledger.study), 4, uri):
        assert candidate.config.train.keep_checkpoints == RunConfig().train.keep_checkpoints
        if candidate.trial in found:
            last = found[candidate.trial][-1].after
            assert candidate.config.loss.model_dump(mode="json") == last
    assert "train.keep_checkpoints" not in load_sweep_data(uri).best_config


def test_population_exploited_trials_say_nothing_of_their_parameters(swept, monkeypatch):
    _, ledger, _ = swept
    monkeypatch.setattr("unetpp.tuning.results.importance.MIN_TRIALS", 1)
    importances = parameter_importances(ledger.study)
    untouched = 4 - len(exploits(ledger))
    assert importances.keys() == ({"loss.ce"} if untouched > 1 else set())


@pytest.mark.slow
@pytest.mark.parametrize("further", [0, 1])
def test_population_driver_killed_and_resumed_ends_with_the_same_weights(tmp_path, dataset, swept, further):
    uri, whole, launched = swept
    first = next(index for index, spec in enumerate(launched) if spec.takeover is not None)
    sweep = start_sweep(tmp_path, dataset[0], *PBT, "tune.trials=4", source=SPACE)
    play(Ledger(sweep.setup, sweep.study), first + further)
    # Another driver, which knows what the study says and nothing else.
    resumed = Ledger(sweep.setup, sweep.study)
    play(resumed)
    assert exploits(resumed) == exploits(whole)
    for number in range(4):
        own, other = (
            RunDir(f"{place}/trials/{number:04d}").checkpoints.latest()
            for place in (uri, f"{tmp_path}/sweep")
        )
        assert own[0] == other[0]
        assert own[1]["model.safetensors"] == other[1]["model.safetensors"]


def test_population_an_exploit_whose_epoch_was_not_recorded_is_decided_again(tmp_path, dataset):
    sweep = start_sweep(tmp_path, dataset[0], *PBT, "tune.trials=2", source=SPACE)
    ledger = Ledger(sweep.setup, sweep.study)
    first, second = ledger.next_trial(), ledger.next_trial()
    assert ledger.report(first.number, epoch_metrics(2, 0.8)) == "continue"
    loss = second.config.loss.model_dump(mode="json")
    cut_off = dump_exploit(Exploit(2, first.number, loss, loss))
    assert TrialRecord(sweep.study, second.number).note(exploit_key(2), cut_off)

    resumed = Ledger(sweep.setup, sweep.study)
    assert [spec.takeover for spec in (resumed.next_trial(), resumed.next_trial())] == [None, None]
    assert resumed.report(second.number, epoch_metrics(2, 0.1)) == "stop"
    assert resumed.is_waiting
    resumed.end(second.number)
    assert resumed.is_paused(second.number)
    spec = resumed.next_trial()
    assert (spec.number, spec.takeover.epoch) == (second.number, 2)
    assert spec.config.loss != second.config.loss
    # What it did before is reported again and ends nothing.
    assert resumed.report(second.number, epoch_metrics(2, 0.1)) == "continue"


def test_population_a_trial_that_the_budget_ends_takes_nothing_over(tmp_path, dataset):
    sweep = start_sweep(tmp_path, dataset[0], *PBT, "tune.trials=2", "tune.target=0.75", source=SPACE)
    ledger = Ledger(sweep.setup, sweep.study)
    first, second = ledger.next_trial(), ledger.next_trial()
    ledger.report(first.number, epoch_metrics(2, 0.8))
    assert ledger.report(second.number, epoch_metrics(2, 0.1)) == "stop"
    ledger.end(second.number)
    assert not exploits(ledger)
    assert ledger.study.trials[second.number].state == TrialState.PRUNED


@pytest.mark.parametrize(("before", "after"), [(PBT, ("tune.scheduler=asha", *PBT[1:])), (PBT[1:], PBT)])
def test_population_stays_one_when_resumed(tmp_path, dataset, before, after):
    start_sweep(tmp_path, dataset[0], *before, source=SPACE)
    with pytest.raises(ConfigError, match=r'tune.scheduler: "(pbt" -> "any but pbt|any but pbt" -> "pbt)"'):
        start_sweep(tmp_path, dataset[0], *after, source=SPACE, resume=True)


@pytest.mark.parametrize("field", sorted(OTHER))
def test_population_of_a_space_that_searches_more_than_the_loss_is_refused(tmp_path, dataset, field):
    source = SPACE.replace("return {", f'return {{"{field}": {OTHER[field]}, ')
    with pytest.raises(ConfigError, match=rf"a space may search loss\.\* alone; this one searches {field}"):
        start_sweep(tmp_path, dataset[0], *PBT, source=source)


def test_population_of_depths_is_pointed_to_one_network(tmp_path, dataset):
    source = SPACE.replace("return {", f'return {{"model.depth": {OTHER["model.depth"]}, ')
    with pytest.raises(ConfigError, match=r"or tune.one_shot=depth\+dilation"):
        start_sweep(tmp_path, dataset[0], *PBT, source=source)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("tune.sampler=tpe", "use tune.sampler=random"),
        ("tune.inherit=true", "two sources of weights"),
        ("train.minutes=1", "give train.epochs"),
        ("tune.objectives=[quality,latency]", "by quality alone"),
    ],
)
def test_population_with_what_it_cannot_have_is_refused(tmp_path, dataset, given, said):
    with pytest.raises(ConfigError, match=said):
        start_sweep(tmp_path, dataset[0], *PBT, given, source=SPACE)
