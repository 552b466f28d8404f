"""Sweeps on Ray: every trial accounted for, with one worker and with several; claimed once and resumed."""

from pathlib import Path

import pytest
from optuna.trial import TrialState

from fakes import write_dataset
from machines import GIB, machine
from sweeps import LAPTOP, SPACE, Recorder, start_sweep
from unetpp.config import Decision, Hardware, Node, load_config, replace
from unetpp.core.errors import ConfigError, ExistsError, InputError
from unetpp.core.rundir import RunDir
from unetpp.core.storage import open_storage
from unetpp.data.dataset.manifests import commit_manifest, load_manifest
from unetpp.tuning.folder import changes_since, load_started, started_config
from unetpp.tuning.ledger import Ledger
from unetpp.tuning.ray.trainable import _job
from unetpp.tuning.results.leaderboard import sweep_summary
from unetpp.tuning.setup import plan_sweep
from unetpp.tuning.space.space import Space, load_space
from unetpp.tuning.sweep import claim_sweep, run_sweep

SPACES = Path(__file__).parents[2] / "search_spaces"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep-data")
    write_dataset(folder, {"train": 16, "val": 4})
    return folder


@pytest.mark.ray
@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.timeout(400)
class TestOnRay:
    def test_sweep_of_one_worker_trials_accounts_for_each(self, tmp_path, data):
        sweep = start_sweep(tmp_path, data, "tune.trials=5", "train.epochs=4")
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
        reasons = {d["field"]: d["reason"] for d in RunDir(f"{tmp_path}/sweep/trials/0000").read_decisions()}
        assert "channels of the dataset" in reasons["model.in_channels"]
        assert {row["level"] for row in summary["pareto"]} <= {1, 2}
        told = dict(recorder.epochs)
        for trial in sweep.study.trials:
            assert max(trial.intermediate_values) == told[trial.number]

    def test_sweep_of_two_worker_trials_frees_what_stopped_trials_held(self, tmp_path, data):
        sweep = start_sweep(tmp_path, data, "tune.trials=2", "train.epochs=2", "scale.workers=2")
        run_sweep(sweep, Recorder(), concurrent=1)
        counts = sweep_summary(sweep.study)["trials"]
        assert counts["complete"] + counts["pruned"] == 2


def test_sweep_where_one_exists_is_refused_and_resume_needs_one(tmp_path, data):
    with pytest.raises(InputError, match="no sweep at"):
        start_sweep(tmp_path, data, resume=True)
    start_sweep(tmp_path, data)
    with pytest.raises(ExistsError, match="--resume"):
        start_sweep(tmp_path, data)
    start_sweep(tmp_path, data, resume=True)


def test_sweep_resumed_with_another_space_shows_the_difference(tmp_path, data):
    start_sweep(tmp_path, data)
    with pytest.raises(ConfigError, match=r"another search space(.|\n)*\+.*1e-2"):
        start_sweep(tmp_path, data, source=SPACE.replace("1e-1", "1e-2"), resume=True)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ('def space(trial):\n    return {"model.dept": 3}\n', r"model\.dept.*did you mean model\.depth"),
        ('def space(trial):\n    return {"model.depth": 9}\n', r"model\.depth=9 must be at most 6"),
        ("def space(trial):\n    raise RuntimeError('boom')\n", r"space\.py:2.*boom"),
    ],
)
def test_sweep_mistake_in_the_space_shows_before_the_first_trial(tmp_path, data, source, message):
    with pytest.raises(ConfigError, match=message):
        start_sweep(tmp_path, data, source=source)
    assert not (tmp_path / "sweep" / "sweep.yaml").exists()


def test_load_started_reads_configuration_and_space_from_the_folder_alone(tmp_path, data):
    sweep = start_sweep(tmp_path, data, "tune.trials=7", "train.epochs=2")
    (tmp_path / "space.py").unlink()
    config, space = load_started(str(tmp_path / "sweep"), ["tune.trials=9"])
    assert config == replace(sweep.setup.base, {"tune.trials": 9, "tune.study_name": "sweep"})
    assert space == Space(space.path, sweep.setup.space.files)
    assert space.sha256 == sweep.setup.space.sha256


def test_load_started_of_a_moved_folder_goes_on_with_its_study(tmp_path, data):
    start_sweep(tmp_path, data).study.ask()
    moved = (tmp_path / "sweep").rename(tmp_path / "elsewhere")
    config, space = load_started(str(moved), [])
    again = claim_sweep(plan_sweep(config, space, LAPTOP, resume=True), resume=True)
    assert again.setup.sweep_uri == str(moved)
    assert [trial.number for trial in again.study.trials] == [0]
    # What a resume changes is what the next one starts from.
    assert load_started(str(moved), [])[0] == again.setup.base


def test_load_started_finds_the_space_among_the_files_it_is_composed_of(tmp_path, data):
    composed = SPACES / "full.py"
    fields = ["model.depth=2", "data.batch_size=4", "tune.sampler=random"]
    config = load_config(None, [f"data.uri={data}", f"out={tmp_path / 'sweep'}", *fields])
    claim_sweep(plan_sweep(config, load_space(composed), LAPTOP, resume=False), resume=False)
    _, space = load_started(str(tmp_path / "sweep"), [])
    assert space.path.name == "full.py"
    assert space.sha256 == load_space(composed).sha256


def test_sweep_default_is_the_first_trial_also_where_it_is_decided_from_the_data(tmp_path, data):
    source = 'def space(trial):\n    return {"model.depth": trial.suggest_int("model.depth", 1, 3)}\n'
    sweep = start_sweep(tmp_path, data, "model.depth=auto", source=source)
    decided = sweep.setup.resolved_base().model.depth
    assert [t.system_attrs["fixed_params"] for t in sweep.study.trials] == [{"model.depth": decided}]


def commit_next(data: Path, folder: Path) -> None:
    """Pack a newer version at `data`, made of other rows; its shards lie beside those of the first."""
    write_dataset(folder, {"train": 9, "val": 3})
    storage, newer = open_storage(str(data)), load_manifest(open_storage(str(folder)))
    for path in (folder / "shards").iterdir():
        storage.write(f"shards/{path.name}", path.read_bytes())
    commit_manifest(storage, newer.model_copy(update={"version": "00002", "fingerprint": "e" * 64}))


def test_sweep_resumed_after_another_packing_keeps_its_version(tmp_path):
    data = tmp_path / "data"
    first = write_dataset(data, {"train": 16, "val": 4})
    start_sweep(tmp_path, data)
    commit_next(data, tmp_path / "newer")
    assert start_sweep(tmp_path, data, resume=True).setup.manifest == first
    open_storage(str(data)).delete(first.splits["val"].shards[0].name)
    with pytest.raises(InputError, match="version 00001 are gone"):
        start_sweep(tmp_path, data, resume=True)


def test_sweep_of_an_earlier_release_takes_the_version_from_its_first_trial(tmp_path):
    data = tmp_path / "data"
    first = write_dataset(data, {"train": 16, "val": 4})
    sweep = start_sweep(tmp_path, data)
    (tmp_path / "sweep" / "dataset.json").unlink()
    spec = Ledger(sweep.setup, sweep.study).next_trial()
    assert spec is not None
    RunDir(spec.config.run_uri).create(spec.config.model_dump(mode="json"), [], first, {})
    commit_next(data, tmp_path / "newer")
    assert start_sweep(tmp_path, data, resume=True).setup.manifest == first


def test_trial_that_goes_on_reads_the_version_it_started_with(tmp_path):
    data = tmp_path / "data"
    first = write_dataset(data, {"train": 16, "val": 4})
    sweep = start_sweep(tmp_path, data)
    spec = Ledger(sweep.setup, sweep.study).next_trial()
    assert spec is not None
    other = first.model_copy(update={"version": "00002"})
    assert _job(spec.config, [], first).manifest == first
    assert _job(spec.config, [], other).manifest == first


def test_sweep_resumed_with_its_space_keeps_what_is_not_given(tmp_path, data):
    sweep = start_sweep(tmp_path, data, "tune.trials=7", "train.epochs=2", "scale.max_failures=5")
    given = load_config(None, [f"out={tmp_path / 'sweep'}", "tune.trials=32", "scale.address=none"])
    config = started_config(given)
    # 32 is the default, and counts all the same.
    assert config == replace(sweep.setup.base, {"tune.trials": 32, "tune.study_name": "sweep"})
    assert changes_since(config) == (Decision("tune.trials", 32, "was 7"),)
    assert claim_sweep(plan_sweep(config, sweep.setup.space, LAPTOP, resume=True), resume=True)


def test_sweep_resumed_on_a_cluster_of_other_nodes_goes_on(tmp_path, data):
    start_sweep(tmp_path, data)
    overrides = ["scale.address=10.0.0.1:6379", "scale.labels={zone: a}", "data.workers=1"]
    config, space = load_started(str(tmp_path / "sweep"), overrides)
    nodes = Hardware((Node(2, labels={"zone": "b"}), Node(2, labels={"zone": "a"})))
    setup = plan_sweep(config, space, nodes, resume=True)
    assert setup.concurrent == 2
    assert claim_sweep(setup, resume=True)


@pytest.mark.parametrize(
    ("overrides", "share"),
    [
        ([], 8 / 8),
        (["scale.gpu=true"], 40 / 8),
        (["scale.gpu=true", "scale.gpus_per_worker=0.25"], 10 / 8),
        (["scale.gpu=auto"], 40 / 8),
    ],
)
def test_sweep_worker_may_plan_with_its_part_of_the_device(tmp_path, data, overrides, share):
    hardware = machine(8, 8 * GIB, 1, 40 * GIB)
    (tmp_path / "space.py").write_text(SPACE)
    fields = ["model.depth=2", "scale.gpu=false", *overrides]
    config = load_config(None, [f"data.uri={data}", f"out={tmp_path / 'sweep'}", *fields])
    setup = plan_sweep(config, load_space(tmp_path / "space.py"), hardware, resume=False)
    assert setup.memory_bytes == int(share * 8 * 2**30)
