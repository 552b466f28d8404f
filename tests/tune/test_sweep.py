"""Sweeps on Ray: every trial accounted for, with one worker and with several, and after a failure."""

from typing import Any

import pytest
from optuna.trial import TrialState

from fakes import write_dataset
from unetpp.config import Hardware, load_config
from unetpp.core.errors import ConfigError, ExistsError, InputError
from unetpp.core.rundir import RunDir
from unetpp.tune.leaderboard import sweep_summary
from unetpp.tune.space import load_space
from unetpp.tune.sweep import claim_sweep, plan_sweep, run_sweep

LAPTOP = Hardware(cpus=2, memory_bytes=8 * 2**30, gpus=0, gpu_memory_bytes=0)
SPACE = """
def space(trial):
    return {"optim.lr": trial.suggest_float("optim.lr", 1e-4, 1e-1, log=True)}
"""
FAILING = """
def space(trial):
    fields = {"optim.lr": trial.suggest_float("optim.lr", 1e-4, 1e-1, log=True), "train.max_nonfinite": 0}
    diverging = {"optim.name": "sgd", "optim.lr": 1e30, "train.clip": 0}
    return fields | diverging if trial.number == 1 else fields
"""


class Recorder:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.epochs: list[tuple[int, int]] = []
        self.failures: list[int] = []

    def started(self, number: int, config: dict[str, Any]) -> None:
        pass

    def epoch(self, number: int, metrics: dict[str, Any]) -> None:
        self.epochs.append((number, metrics["epoch"]))

    def ended(self, number: int) -> None:
        pass

    def failed(self, number: int) -> None:
        self.failures.append(number)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep-data")
    write_dataset(folder, {"train": 16, "val": 4})
    return folder


def start(tmp_path, data, *overrides: str, source: str = SPACE, resume: bool = False):
    path = tmp_path / "space.py"
    path.write_text(source)
    base = ["model.depth=2", "model.width=2", "data.batch_size=4", "train.trackers=[]", "tune.sampler=random"]
    config = load_config(None, [f"data.uri={data}", f"out={tmp_path / 'sweep'}", *base, *overrides])
    return claim_sweep(plan_sweep(config, load_space(path), LAPTOP, resume=resume), resume=resume)


@pytest.mark.ray
@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.timeout(240)
class TestOnRay:
    def test_sweep_of_one_worker_trials_accounts_for_each(self, tmp_path, data):
        sweep = start(tmp_path, data, "tune.trials=5", "train.epochs=4")
        recorder = Recorder()
        ledger = run_sweep(sweep, recorder, concurrent=2)
        summary = sweep_summary(sweep.study)
        assert not ledger.interrupted
        assert summary["trials"]["complete"] + summary["trials"]["pruned"] == 5
        assert summary["trials"]["complete"] >= 1
        assert (
            sum(trial.state == TrialState.PRUNED for trial in sweep.study.trials)
            == summary["trials"]["pruned"]
        )
        best = summary["best"]
        stored = RunDir(f"{tmp_path}/sweep/trials/{best['trial']:04d}").read_metrics()
        scores = [epoch["val"]["levels"][str(best["level"])]["dice"] for epoch in stored]
        assert best["value"] in scores
        assert {row["level"] for row in summary["pareto"]} <= {1, 2}
        told = dict(recorder.epochs)
        for trial in sweep.study.trials:
            assert max(trial.intermediate_values) == told[trial.number]

    def test_sweep_of_two_worker_trials_frees_what_stopped_trials_held(self, tmp_path, data):
        sweep = start(tmp_path, data, "tune.trials=3", "train.epochs=3", "scale.workers=2")
        run_sweep(sweep, Recorder(), concurrent=1)
        counts = sweep_summary(sweep.study)["trials"]
        assert counts["complete"] + counts["pruned"] == 3

    def test_sweep_trial_that_fails_is_recorded_with_its_cause(self, tmp_path, data):
        sweep = start(
            tmp_path, data, "tune.trials=3", "train.epochs=1", "tune.max_failures=0", source=FAILING
        )
        recorder = Recorder()
        run_sweep(sweep, recorder, concurrent=1)
        failed = [trial for trial in sweep.study.trials if trial.state == TrialState.FAIL]
        assert [trial.number for trial in failed] == [1]
        assert "NonFiniteError" in failed[0].user_attrs["cause"]
        assert recorder.failures == [1]
        assert sweep_summary(sweep.study)["trials"]["complete"] == 2


def test_sweep_where_one_exists_is_refused_and_resume_needs_one(tmp_path, data):
    with pytest.raises(InputError, match="no sweep at"):
        start(tmp_path, data, resume=True)
    start(tmp_path, data)
    with pytest.raises(ExistsError, match="--resume"):
        start(tmp_path, data)
    start(tmp_path, data, resume=True)


def test_sweep_resumed_with_another_space_shows_the_difference(tmp_path, data):
    start(tmp_path, data)
    with pytest.raises(ConfigError, match=r"another search space(.|\n)*\+.*1e-2"):
        start(tmp_path, data, source=SPACE.replace("1e-1", "1e-2"), resume=True)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ('def space(trial):\n    return {"model.dept": 3}\n', r"model\.dept.*did you mean model\.depth"),
        ('def space(trial):\n    return {"model.depth": 9}\n', r"model\.depth=9 must lie in 1\.\.6"),
        ("def space(trial):\n    raise RuntimeError('boom')\n", r"space\.py:2.*boom"),
    ],
)
def test_sweep_mistake_in_the_space_shows_before_the_first_trial(tmp_path, data, source, message):
    with pytest.raises(ConfigError, match=message):
        start(tmp_path, data, source=source)
    assert not (tmp_path / "sweep" / "sweep.yaml").exists()


def test_sweep_storage_with_a_password_is_refused_without_showing_it(tmp_path, data):
    with pytest.raises(ConfigError, match="must hold no password") as refused:
        start(tmp_path, data, "tune.storage=postgresql://me:s3cr3t@localhost/studies")
    assert "s3cr3t" not in str(refused.value)
    assert not (tmp_path / "sweep" / "sweep.yaml").exists()
