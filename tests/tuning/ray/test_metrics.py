"""What a sweep's driver exports."""

from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from fakes import write_dataset
from machines import machine
from recorded_metrics import RecordingExporter
from sweep_results import finish, record_epoch, results
from unetpp.config import RunConfig
from unetpp.tuning.ledger import Ledger
from unetpp.tuning.ray.metrics import SweepMetrics
from unetpp.tuning.setup import SweepSetup
from unetpp.tuning.space.space import Space

NO_GPU = machine()


@pytest.fixture
def setup(tmp_path: Path, space: Space, base: RunConfig) -> SweepSetup:
    manifest = write_dataset(tmp_path / "data", {"train": 12, "val": 4})
    return SweepSetup("s3://bucket/my sweep", base, space, manifest, NO_GPU, 2**33)


@pytest.fixture
def ledger(study: optuna.Study, setup: SweepSetup) -> Ledger:
    for quality, outcome in ((0.8, "COMPLETE"), (0.5, "PRUNED"), (0.0, "FAIL")):
        number = study.ask().number
        record_epoch(study, number, 1, results(quality - 0.1, quality) if quality else [], seconds=1800.0)
        finish(study, number, outcome)
    study.ask()
    return Ledger(setup, study)


def test_sweep_exports_states_best_and_hours(ledger: Ledger) -> None:
    exporter = RecordingExporter()
    SweepMetrics(ledger, exporter).on_trial_complete(trial=None)  # type: ignore[arg-type]
    states = ("running", "waiting", "complete", "pruned", "failed", "infeasible")
    counts = {state: exporter.get("unetpp_trials", run="my_sweep", state=state) for state in states}
    assert counts == {
        "running": 1, "waiting": 0, "complete": 1, "pruned": 1, "failed": 1, "infeasible": 0,
    }  # fmt: skip
    assert exporter.get("unetpp_best_value", run="my_sweep") == 0.8
    assert exporter.get("unetpp_trial_hours", run="my_sweep") == pytest.approx(1.5)
    assert exporter.get("unetpp_gpu_hours", run="my_sweep") == 0


def test_sweep_without_a_result_exports_no_best(study: optuna.Study, setup: SweepSetup) -> None:
    exporter = RecordingExporter()
    SweepMetrics(Ledger(setup, study), exporter).on_trial_start(trial=None)  # type: ignore[arg-type]
    assert not any(name == "unetpp_best_value" for name, _ in exporter.values)


def test_every_state_of_optuna_is_counted(ledger: Ledger) -> None:
    exporter = RecordingExporter()
    SweepMetrics(ledger, exporter).on_trial_error(trial=None)  # type: ignore[arg-type]
    total = sum(value for (name, _), value in exporter.values.items() if name == "unetpp_trials")
    assert total == len(ledger.study.trials)
    assert len(TrialState) == 5
