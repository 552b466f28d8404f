"""The best trials are trained again with other seeds and compared on the same images."""

from pathlib import Path
from typing import Any

import pytest

from fakes import LocalSession, start_run, tiny_config, train, write_dataset
from unetpp.core.manifest import Manifest
from unetpp.core.rundir import RunDir
from unetpp.training.run.job import TrainJob
from unetpp.tuning.results.confirm import candidates, confirm
from unetpp.tuning.results.confirmed import called_best, read_confirmed, winner_run
from unetpp.tuning.results.leaderboard import LeaderRow, best_row

Sweep = tuple[str, Manifest, list[LeaderRow]]


def write_sweep(folder: Path) -> Sweep:
    """URI, dataset and rows of a sweep whose best trial by its own scores has learnt nothing."""
    manifest = write_dataset(folder / "data", {"train": 16, "val": 6, "test": 5})
    for number, lr in enumerate((1e-9, 0.05)):
        config = tiny_config(str(folder / "data"), optim={"lr": lr}, train={"epochs": 3})
        start_run(config.model_copy(update={"out": str(folder / "sweep/trials" / f"{number:04d}")}), manifest)
    rows = [
        LeaderRow(level, quality, 0.001, 10, 10, trial=trial, state=state, settings={})
        for trial, level, quality, state in (
            (0, 1, 0.9, "COMPLETE"),
            (0, 2, 0.8, "COMPLETE"),
            (2, 2, 0.7, "PRUNED"),
            (1, 2, 0.6, "COMPLETE"),
        )
    ]
    return str(folder / "sweep"), manifest, rows


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    return write_sweep(tmp_path)


@pytest.fixture(scope="module")
def confirmed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Sweep, dict[str, Any], list[str]]:
    """A confirmed sweep, its result and the runs that were trained for it; only read."""
    sweep, trained = write_sweep(tmp_path_factory.mktemp("confirmed")), list[str]()
    uri, manifest, rows = sweep

    def train_here(job: TrainJob) -> bool:
        trained.append(job.run_uri)
        return train(job).finished

    result = confirm(candidates(rows, 2, uri), manifest, uri, train_here)
    assert result is not None
    return sweep, result, trained


def test_candidates_are_complete_trials_at_their_best_level(sweep):
    uri, _, rows = sweep
    assert [(c.trial, c.level) for c in candidates(rows, 5, uri)] == [(0, 1), (1, 2)]
    assert [c.trial for c in candidates(rows, 1, uri)] == [0]


@pytest.mark.slow
def test_confirm_overturns_a_lucky_winner_and_reads_test_once(confirmed):
    (uri, _, _), result, trained = confirmed
    assert [c["trial"] for c in result["candidates"]] == [1, 0]
    assert len(trained) == 6
    assert result["against_winner"]["0"]["mean_difference"] > 0.2
    assert result["against_winner"]["0"]["images"] == 6
    assert result["test"]["rows"] == 5
    evaluated = [
        path for path in RunDir(f"{uri}/confirm").storage.list() if path.endswith("evaluations/test.json")
    ]
    assert len(evaluated) == 1


@pytest.mark.slow
def test_confirm_again_trains_nothing_twice(confirmed):
    (uri, manifest, rows), result, _ = confirmed
    chosen = candidates(rows, 2, uri)
    again = confirm(chosen, manifest, uri, lambda job: pytest.fail(f"{job.run_uri} was trained again"))
    assert again == result


@pytest.mark.slow
def test_confirm_interrupted_seed_does_not_count_and_goes_on_from_its_checkpoint(sweep):
    uri, manifest, rows = sweep
    chosen = candidates(rows, 1, uri)
    stopped = []

    def stop_the_second(job):
        if not stopped and len(finished) == 1:
            stopped.append(job.run_uri)
            return train(job, LocalSession(stop_after=6)).finished
        finished.append(job.run_uri)
        return train(job).finished

    finished: list[str] = []
    assert confirm(chosen, manifest, uri, stop_the_second) is None
    assert read_confirmed(uri) is None
    assert not RunDir(stopped[0]).storage.list("evaluations/")
    session = LocalSession()

    def go_on(job):
        return train(job, session if job.run_uri == stopped[0] else None).finished

    result = confirm(chosen, manifest, uri, go_on)
    assert result is not None
    assert [report["epoch"] for report in session.reports] == [2, 3]
    assert result == read_confirmed(uri)


@pytest.mark.slow
def test_confirm_seeds_are_not_those_the_trial_was_chosen_with(tmp_path):
    manifest = write_dataset(tmp_path / "data", {"train": 8, "val": 4})
    config = tiny_config(str(tmp_path / "data"), train={"epochs": 1, "seed": 2})
    start_run(config.model_copy(update={"out": str(tmp_path / "sweep/trials/0000")}), manifest)
    uri = str(tmp_path / "sweep")
    seeds = []

    def train_here(job):
        seeds.append((job.config.train.seed, job.config.data.seed))
        return train(job).finished

    rows = [LeaderRow(1, 0.9, 0.001, 10, 10, trial=0, state="COMPLETE", settings={})]
    result = confirm(candidates(rows, 1, uri), manifest, uri, train_here)
    assert seeds == [(1, 1), (3, 3), (4, 4)]
    assert result["candidates"][0]["seeds"] == [1, 3, 4]


@pytest.mark.slow
def test_called_best_is_the_confirmed_winner_until_the_sweep_finds_better_candidates(confirmed):
    (uri, _, rows), result, _ = confirmed
    assert best_row(rows).trial == 0
    assert called_best(rows, read_confirmed(uri)).trial == 1
    assert RunDir(winner_run(uri, result)).read_result() == {
        "run": f"{uri}/confirm/0001-seed1", "finished": True,
    }  # fmt: skip
    better = LeaderRow(2, 0.95, 0.001, 10, 10, trial=3, state="COMPLETE", settings={})
    assert called_best([better, *rows], read_confirmed(uri)) == better
    assert called_best(rows, None) == rows[0]
