"""The page of a sweep: what it says of complete, stopped, failed and open trials, and its commands."""

import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest

from html_page import HtmlPage
from sweep_results import finish, record_epoch, results
from unetpp.config import RunConfig, dump_yaml, load_config, replace
from unetpp.config.load import flatten
from unetpp.core.errors import InputError
from unetpp.core.manifest import Manifest
from unetpp.core.places import SWEEP_CONFIG, trial_uri
from unetpp.core.rundir import RunDir
from unetpp.core.storage import open_storage
from unetpp.report.sweep.data import load_sweep_data
from unetpp.report.sweep.page import render_sweep_report, write_sweep_report
from unetpp.report.sweep.parallel_coordinates import positions
from unetpp.report.sweep.sections import cost_facts, headline_cards, leader_rows, sweep_commands, varied
from unetpp.tuning.first_trials import enqueue_default
from unetpp.tuning.folder import study_name, study_url
from unetpp.tuning.results.confirmed import write_confirmed
from unetpp.tuning.space.apply import apply
from unetpp.tuning.space.space import load_space
from unetpp.tuning.study.record import RAN
from unetpp.tuning.study.storage import open_storage_url
from unetpp.tuning.study.study import open_study

SPACE = """
def space(trial):
    depth = trial.suggest_int("model.depth", 2, 4)
    norm = trial.suggest_categorical("model.norm", ["batch", "group"])
    values = {"model.depth": depth, "model.norm": norm}
    values["optim.lr"] = trial.suggest_float("optim.lr", 1e-5, 1e-2, log=True)
    if depth == 4:
        values["loss.dice"] = trial.suggest_float("loss.dice", 0.5, 1.5)
    return values  # <b>
"""
EPOCHS = 3


class FakeSweep:
    """A sweep's folder as `claim_sweep` and the trials leave it, played by hand."""

    def __init__(self, folder: Path, manifest: Manifest, empty_storage: Path, *overrides: str) -> None:
        self.uri, self.manifest = str(folder / "sw"), manifest
        base = [
            "data.uri=s3://bucket/cells", "data.crop=32", "model.in_channels=3", "model.num_classes=1",
            "model.image_classes=0", "model.depth=3", f"train.epochs={EPOCHS}", "tune.trials=4",
            "tune.sampler=random", f"out={self.uri}",
        ]  # fmt: skip
        self.config = load_config(None, [*base, *overrides])
        path = folder / "my space.py"
        path.write_text(SPACE)
        self.space = load_space(path)
        storage = open_storage(self.uri)
        storage.put(empty_storage, "study.db")
        self.study = open_study(
            study_url(self.config, storage), study_name(self.config), space=self.space, config=self.config
        )
        enqueue_default(self.study, self.space, self.config)
        storage.write("space/my space.py", SPACE.encode())
        storage.write(SWEEP_CONFIG, dump_yaml(self.config).encode())

    def start(self) -> tuple[int, RunConfig]:
        """Draw a trial and write what its run starts with."""
        trial = self.study.ask()
        out = trial_uri(self.uri, trial.number)
        decided = {"out": out, "scale.gpu": False, "data.batch_size": 8}
        config = replace(apply(self.config, self.space(trial)), decided)
        RunDir(out).create(config.model_dump(mode="json"), [], self.manifest, {})
        return trial.number, config

    def train(self, *qualities: float, epochs: int) -> int:
        """Run a trial whose levels end at these qualities, rising by 0.01 an epoch; it stays open."""
        number, _ = self.start()
        for epoch in range(1, epochs + 1):
            now = [quality - 0.01 * (epochs - epoch) for quality in qualities]
            record_epoch(self.study, number, epoch, results(*now), seconds=10.0)
        return number


@pytest.fixture(scope="session")
def empty_storage(tmp_path_factory) -> Path:
    """An SQLite file with Optuna's tables; making them takes seconds."""
    file = tmp_path_factory.mktemp("storage") / "study.db"
    open_storage_url(f"sqlite:///{file}")
    return file


@pytest.fixture
def new_sweep(tmp_path, manifest, empty_storage) -> Callable[..., FakeSweep]:
    return lambda *overrides: FakeSweep(tmp_path, manifest, empty_storage, *overrides)


def play(sweep: FakeSweep) -> FakeSweep:
    """Default complete at 0.80, winner complete at 0.90 on level 1, one stopped, one failed."""
    finish(sweep.study, sweep.train(0.70, 0.80, epochs=EPOCHS), "COMPLETE")
    finish(sweep.study, sweep.train(0.90, 0.89, epochs=EPOCHS), "COMPLETE")
    finish(sweep.study, sweep.train(0.50, 0.60, epochs=1), "PRUNED")
    number, _ = sweep.start()
    finish(sweep.study, number, "FAIL", cause="NonFiniteError: <11> steps, password=hunter2")
    return sweep


@pytest.fixture
def sweep(new_sweep) -> FakeSweep:
    return play(new_sweep())


@pytest.fixture(scope="module")
def finished(tmp_path_factory, manifest, empty_storage) -> FakeSweep:
    """As `sweep`; only read."""
    return play(FakeSweep(tmp_path_factory.mktemp("finished"), manifest, empty_storage))


@pytest.mark.slow
def test_sweep_report_shows_winner_base_states_and_causes(finished):
    page = HtmlPage(render_sweep_report(load_sweep_data(finished.uri)))
    assert page.open == []
    assert "trial 1, level 1" in page.text
    assert "best is +0.100" in page.text
    assert "2 complete, 1 stopped early, 1 failed" in page.text
    assert "NonFiniteError: <11> steps" in page.text
    assert "hunter2" not in page.text
    assert "return values  # <b>" in page.text
    assert finished.space.sha256 in page.text
    assert "Parameter importances need at least" in page.text


@pytest.mark.slow
def test_sweep_report_calls_the_confirmed_winner_best_while_it_holds(sweep):
    # Trial 0 has the lower score in the sweep.
    candidates = [
        {"trial": 0, "level": 2, "dice_per_image": 0.85, "seeds": [1, 2, 3], "run": "confirm/0000-seed1"},
        {"trial": 1, "level": 1, "dice_per_image": 0.81, "seeds": [1, 2, 3], "run": "confirm/0001-seed1"},
    ]
    against = {
        "images": 9, "mean_difference": 0.04, "ci_low": -0.01, "ci_high": 0.09, "p_value": 0.2,
        "distinguishable": False,
    }  # fmt: skip
    write_confirmed(sweep.uri, {"candidates": candidates, "against_winner": {"1": against}})
    data = load_sweep_data(sweep.uri)
    page = HtmlPage(render_sweep_report(data))
    assert "trial 0, level 2, confirmed with other seeds" in page.text
    assert "winner +0.0400 [-0.0100, +0.0900], p = 0.2, not distinguishable" in page.text
    assert f"unetpp evaluate {sweep.uri}/confirm/0000-seed1 --level 2" in page.text
    finish(sweep.study, sweep.train(0.95, 0.94, epochs=EPOCHS), "COMPLETE")
    page = HtmlPage(render_sweep_report(load_sweep_data(sweep.uri)))
    assert "trial 4, level 1" in page.text
    assert "Confirmed" not in page.text


@pytest.mark.slow
def test_sweep_report_loads_nothing(finished):
    page = HtmlPage(render_sweep_report(load_sweep_data(finished.uri)))
    assert all(reference.startswith(("data:", "#")) for reference in page.references)
    assert page.tags.isdisjoint({"script", "link rel=stylesheet", "iframe"})


@pytest.mark.slow
def test_sweep_report_is_written_into_the_sweep_or_where_asked(sweep, tmp_path):
    assert write_sweep_report(sweep.uri) == f"{sweep.uri}/report.html"
    assert Path(write_sweep_report(sweep.uri, tmp_path / "page.html")) == tmp_path / "page.html"
    assert (tmp_path / "page.html").read_text() == Path(sweep.uri, "report.html").read_text()


def test_sweep_report_leaderboard_is_over_trials_and_levels(finished):
    rows = leader_rows(load_sweep_data(finished.uri))
    assert [(row["trial"], row["level"]) for row in rows] == [(1, 1), (1, 2), (0, 2), (0, 1), (2, 2), (2, 1)]
    assert [row["best"] for row in rows] == [True] + 5 * [False]
    # Level 1 costs the least and scores the most.
    assert [row["front"] for row in rows] == [True] + 5 * [False]
    assert rows[0]["run"] == "trials/0001"


def test_sweep_report_cost_counts_epochs_that_stopping_saved(finished):
    facts = dict(cost_facts(load_sweep_data(finished.uri)))
    assert facts["Epochs"].startswith("7 of 12")
    assert facts["Stopped early"] == "trials: 1; 2 epochs not trained, about 20.0 s at their own pace"
    assert facts["All trials"].startswith("1 min 10 s")


def test_sweep_report_train_command_gives_the_winners_configuration(finished):
    data = load_sweep_data(finished.uri)
    (command,) = [text for _, text in sweep_commands(data) if text.startswith("unetpp train")]
    repeated = flatten(load_config(None, shlex.split(command)[2:]))
    winner = flatten(RunConfig.model_validate(RunDir(trial_uri(finished.uri, 1)).read_config()))
    differing = {key for key in winner if winner[key] != repeated[key]}
    # Which devices to use is decided again.
    assert {key for key in differing if not key.startswith("tune.")} == {"out", "scale.gpu"}


def test_sweep_report_commands_name_the_winners_level(finished):
    commands = [text for _, text in sweep_commands(load_sweep_data(finished.uri))]
    run = trial_uri(finished.uri, 1)
    assert f"unetpp evaluate {run} --level 1" in commands
    assert f"unetpp export {run} --out model.safetensors --level 1" in commands
    assert not any("--resume" in command for command in commands)


@pytest.mark.slow
def test_sweep_report_while_running_shows_the_open_trial_and_how_to_continue(sweep):
    sweep.train(0.3, 0.4, epochs=2)
    data = load_sweep_data(sweep.uri)
    assert data.state == "unfinished"
    page = HtmlPage(render_sweep_report(data))
    assert "1 running" in page.text
    (command,) = [text for _, text in sweep_commands(data) if "--resume" in text]
    assert shlex.split(command) == ["unetpp", "tune", "--resume", sweep.uri]


@pytest.mark.parametrize("started", [0, 1])
def test_sweep_report_before_the_first_result_says_so(new_sweep, started):
    sweep = new_sweep()
    for _ in range(started):
        sweep.start()
    data = load_sweep_data(sweep.uri)
    assert "No trial has a result yet" in HtmlPage(render_sweep_report(data)).text
    assert data.state == ("unfinished" if started else "ended early")


def test_sweep_report_of_infeasible_trials_counts_no_epochs_for_them(new_sweep):
    sweep = new_sweep()
    finish(sweep.study, sweep.start()[0], "INFEASIBLE", cause="needs 9 GiB, 8 GiB free")
    data = load_sweep_data(sweep.uri)
    assert "needs 9 GiB, 8 GiB free" in HtmlPage(render_sweep_report(data)).text
    assert {label: value for label, value, _ in headline_cards(data)}["Epochs"] == "0 of 0"


def test_sweep_report_of_two_objectives_marks_their_front(new_sweep):
    sweep = new_sweep("tune.objectives=[quality, params]")
    finish(sweep.study, sweep.train(0.70, 0.80, epochs=EPOCHS), "COMPLETE")
    rows = leader_rows(load_sweep_data(sweep.uri))
    assert [row["front"] for row in rows] == [True, True]


@pytest.mark.slow
def test_sweep_report_of_diverged_epoch_still_renders(new_sweep):
    sweep = new_sweep()
    number = sweep.train(0.7, 0.8, epochs=2)
    record_epoch(sweep.study, number, 3, results(float("nan"), float("nan")))
    assert "0.800" in HtmlPage(render_sweep_report(load_sweep_data(sweep.uri))).text


@pytest.mark.slow
def test_sweep_report_with_enough_trials_ranks_the_parameter_that_matters(new_sweep):
    sweep = new_sweep("tune.trials=12")
    for index in range(12):
        number, config = sweep.start()
        quality = 0.9 if config.model.norm == "batch" else 0.5
        record_epoch(sweep.study, number, 1, results(quality + 0.001 * index))
        finish(sweep.study, number, "PRUNED" if index % 2 else "COMPLETE")
    data = load_sweep_data(sweep.uri)
    assert next(iter(data.importances)) == "model.norm"
    assert "loss.dice" not in data.importances  # too few trials had it
    assert sum(data.importances.values()) == pytest.approx(1)
    assert "importance in percent" in HtmlPage(render_sweep_report(data)).text


@pytest.mark.slow
def test_sweep_report_hides_the_storages_password(finished):
    data = load_sweep_data(finished.uri)
    storage = "postgresql+psycopg://me:hunter2@host/db"
    secret = replace(data.config, {"tune.storage": storage, "tune.warm_start": [storage]})
    page = render_sweep_report(type(data)(**{**vars(data), "config": secret}))
    assert "hunter2" not in page
    assert "host/db" in page


def test_sweep_report_of_moved_folder_reads_it_where_it_is(sweep, tmp_path):
    moved = Path(sweep.uri).rename(tmp_path / "moved")
    data = load_sweep_data(str(moved))
    assert data.best is not None
    assert any(f"unetpp evaluate {moved}/trials/0001" in text for _, text in sweep_commands(data))


def test_load_sweep_without_sweep_study_file_or_study_is_input_error(sweep, tmp_path, empty_storage):
    with pytest.raises(InputError, match=r"no sweep at .*sweep.yaml is missing"):
        load_sweep_data(str(tmp_path))
    database = Path(sweep.uri, "study.db")
    database.unlink()
    with pytest.raises(InputError, match=r"study of sweep .* is missing"):
        load_sweep_data(sweep.uri)
    assert not database.exists()
    shutil.copy(empty_storage, database)
    with pytest.raises(InputError, match="has no study 'sw'"):
        load_sweep_data(sweep.uri)


@pytest.mark.slow
def test_varied_lists_parameters_that_differ_those_of_most_trials_first(new_sweep):
    sweep = new_sweep()
    for depth, dice in ((2, None), (4, 0.5), (4, 1.5)):
        extra = {} if dice is None else {"loss.dice": dice}
        sweep.study.enqueue_trial({"model.depth": depth, "model.norm": "group", "optim.lr": 1e-3, **extra})
        sweep.start()
    # Trial 0, the base configuration, has depth 3.
    assert varied(load_sweep_data(sweep.uri).trials) == ["model.depth", "loss.dice"]


def test_positions_logarithmic_numbers_are_scaled_by_their_logarithm():
    space = optuna.distributions.FloatDistribution(1e-5, 1, log=True)
    heights, ticks = positions({0: 1e-4, 1: 1e-2, 5: 1e-3}, space)
    assert heights == pytest.approx({0: 0, 1: 1, 5: 0.5})
    assert [text for _, text in ticks] == ["0.0001", "0.001", "0.01"]


def test_positions_categories_are_spread_in_the_order_of_the_space():
    space = optuna.distributions.CategoricalDistribution(("b", None, "unused", True))
    heights, ticks = positions({0: True, 2: None, 3: "b"}, space)
    assert heights == {0: 1, 2: 0.5, 3: 0}
    assert ticks == [(0, "b"), (0.5, "null"), (1, "true")]


def test_positions_equal_values_lie_in_the_middle():
    assert positions({0: 3, 1: 3}, None) == ({0: 0.5, 1: 0.5}, [(0.5, "3.000")])


def test_sweep_report_settings_are_short_where_that_is_unambiguous(new_sweep):
    sweep = new_sweep()
    sweep.train(0.7, 0.8, epochs=1)
    sweep.study.enqueue_trial(
        {"model.depth": 4, "model.norm": "batch", "optim.lr": 1e-4, "loss.dice": 0.6789}
    )
    sweep.train(0.6, 0.7, epochs=1)
    settings = {row["trial"]: row["settings"] for row in leader_rows(load_sweep_data(sweep.uri))}
    assert settings == {0: "depth=3 norm=group lr=0.001", 1: "depth=4 norm=batch lr=0.0001 dice=0.679"}


@pytest.mark.slow
def test_sweep_report_says_what_another_hour_may_bring_once_enough_trials_ended(new_sweep):
    sweep = new_sweep()
    for number, quality in enumerate((0.5, 0.6, 0.65, 0.66), start=1):
        finish(sweep.study, sweep.train(quality, epochs=1), "COMPLETE")
        sweep.study.set_user_attr(RAN, 900.0 * number)
        facts = dict(cost_facts(load_sweep_data(sweep.uri)))
        assert ("Another hour" in facts) == (number == 4)
    assert facts["Another hour"].startswith("about 4.0 trials: a better one with 50")
