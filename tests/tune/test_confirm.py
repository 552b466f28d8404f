"""The best trials are trained again with other seeds and compared on the same images."""

import pytest

from fakes import start_run, tiny_config, train, write_dataset
from unetpp.core.rundir import RunDir
from unetpp.tune.confirm import candidates, confirm
from unetpp.tune.leaderboard import LeaderRow


@pytest.fixture
def sweep(tmp_path):
    manifest = write_dataset(tmp_path / "data", {"train": 16, "val": 6, "test": 5})
    for number, lr in enumerate((1e-9, 0.05)):
        config = tiny_config(str(tmp_path / "data"), optim={"lr": lr}, train={"epochs": 5})
        start_run(
            config.model_copy(update={"out": str(tmp_path / "sweep/trials" / f"{number:04d}")}), manifest
        )
    rows = [
        LeaderRow(level, quality, 0.001, 10, 10, trial=trial, state=state, settings={})
        for trial, level, quality, state in (
            (0, 1, 0.9, "COMPLETE"),
            (0, 2, 0.8, "COMPLETE"),
            (2, 2, 0.7, "PRUNED"),
            (1, 2, 0.6, "COMPLETE"),
        )
    ]
    return str(tmp_path / "sweep"), manifest, rows


def test_candidates_are_complete_trials_at_their_best_level(sweep):
    uri, _, rows = sweep
    assert [(c.trial, c.level) for c in candidates(rows, 5, uri)] == [(0, 1), (1, 2)]
    assert [c.trial for c in candidates(rows, 1, uri)] == [0]


def test_confirm_overturns_a_lucky_winner_and_reads_test_once(sweep):
    uri, manifest, rows = sweep
    trained = []

    def train_here(job):
        trained.append(job.run_uri)
        return train(job).finished

    result = confirm(candidates(rows, 2, uri), manifest, uri, train_here)
    assert [c["trial"] for c in result["candidates"]] == [1, 0]
    assert len(trained) == 6
    assert result["against_winner"][0]["mean_difference"] > 0.2
    assert result["against_winner"][0]["images"] == 6
    assert result["test"]["rows"] == 5
    evaluated = [
        path for path in RunDir(f"{uri}/confirm").storage.list() if path.endswith("evaluations/test.json")
    ]
    assert len(evaluated) == 1


def test_confirm_again_trains_nothing_twice(sweep):
    uri, manifest, rows = sweep
    chosen = candidates(rows, 1, uri)
    first = confirm(chosen, manifest, uri, lambda job: train(job).finished)
    again = confirm(chosen, manifest, uri, lambda job: pytest.fail(f"{job.run_uri} was trained again"))
    assert again == first
