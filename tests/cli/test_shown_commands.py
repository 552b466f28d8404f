"""Commands that are shown to people work when they are pasted, also where a path holds a space."""

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from fakes import write_dataset
from sweeps import play_trial, start_sweep
from unetpp.cli.main import build_app
from unetpp.cli.main import run as unetpp
from unetpp.cli.remote import job_client
from unetpp.cli.remote.verb_call import VerbCall, parse_call
from unetpp.cli.verbs import cluster, demo, train, tune
from unetpp.core.rundir import RunDir
from unetpp.data.dataset.shard_size import shard_advice
from unetpp.launch.local_cluster.nodes import NodePlan
from unetpp.launch.local_cluster.state import ClusterState
from unetpp.report.run.data import load_run_data
from unetpp.report.run.sections import next_commands
from unetpp.report.sweep.data import load_sweep_data
from unetpp.report.sweep.sections import sweep_commands
from unetpp.tuning.ledger import Ledger
from untrained_run import write_untrained_run

SOURCE = Path(__file__).parents[2] / "distributed" / "unetpp"
VERBS = (
    "demo|doctor|config|data|train|tune|evaluate|predict|export|report|compare|submit|jobs|cluster|dashboard"
)


def calls(text: str) -> list[VerbCall]:
    """The commands in a text, as the command line itself takes them apart."""
    lines = re.findall(rf"unetpp (?:{VERBS})\b.*", text)
    assert lines, text
    app = build_app()
    return [parse_call(app, shlex.split(line)[1:]) for line in lines]


def values(call: VerbCall) -> Iterator[str]:
    for value in call.parameters.values():
        for entry in value if isinstance(value, list | tuple) else [value]:
            yield str(entry).removeprefix("out=").removeprefix("data.uri=")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "my runs"
    path.mkdir()
    return path


@pytest.mark.parametrize("finished", [True, False])
def test_train_next_commands_name_the_run(folder, capsys, finished):
    train._print_next({"run": str(folder), "metrics": None, "finished": finished})
    assert all(str(folder) in values(call) for call in calls(capsys.readouterr().err))


@pytest.mark.parametrize("finished", [True, False])
def test_tune_next_commands_name_the_sweep_or_its_trial(folder, capsys, finished):
    best = {"trial": 3, "level": 2, "value": 0.5}
    tune._print_best({"sweep": str(folder), "finished": finished, "best": best, "metric": "Dice"})
    found = calls(capsys.readouterr().err)
    assert len(found) == 3 - finished
    assert all({str(folder), f"{folder}/trials/0003"} & set(values(call)) for call in found)


@pytest.mark.slow
def test_evaluate_and_reports_name_the_run(folder, capsys):
    run = write_untrained_run(folder)
    found = next_commands(load_run_data(run))
    assert unetpp(["evaluate", run]) == 0
    found += next_commands(load_run_data(run))
    shown = "\n".join([capsys.readouterr().err, *(line for _, line in found)])
    assert all(run in values(call) for call in calls(shown))
    assert {call.words for call in calls(shown)} >= {("report",), ("train",), ("export",), ("compare",)}


def test_sweep_report_names_the_sweep_or_its_winner(folder):
    write_dataset(folder / "data", {"train": 8, "val": 4})
    sweep = start_sweep(folder, folder / "data", "tune.trials=2")
    ledger = Ledger(sweep.setup, sweep.study)
    play_trial(ledger, 0.5)
    ledger.next_trial()
    uri = sweep.setup.sweep_uri
    run = RunDir(f"{uri}/trials/0000")
    run.create(sweep.setup.base.model_dump(mode="json"), [], sweep.setup.manifest, {"version": "0"})
    found = dict(sweep_commands(load_sweep_data(uri)))
    again = found.pop("Train once more with the winner's configuration")
    named = [set(values(call)) for call in calls("\n".join(found.values()))]
    assert all({uri, run.uri} & entry for entry in named)
    (call,) = calls(again)
    assert f"data.uri={folder}/data" in call.parameters["arguments"]


def test_cluster_commands_find_the_cluster_again(folder, capsys, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
    plan = NodePlan("127.0.0.1:6379", "/tmp/x", 1, 2, 0)
    state = ClusterState("a", "runs", plan, {"ray": "http://127.0.0.1:8266", "page": "http://p"}, {}, ())
    for place, named in ((folder / "local", str(folder)), (folder / "state/unetpp/clusters/local", None)):
        steps = cluster._next_steps(state, cluster._options(place))
        (down,) = calls(steps["stop"])
        assert (down.words, down.parameters["directory"]) == (("cluster", "down"), named and Path(named))
        assert [call.words for call in calls(f"{steps['submit']}\n{steps['join']}")] == [
            ("submit",),
            ("train",),
        ]
        processes = [{"name": "n", "pid": 1, "running": True, "log": "/l/x"}]
        found = {"state": "degraded", "nodes": {"started": 3, "alive": 0}, "out": "s3://b/my runs"}
        cluster._print_status({**found, "urls": {}, "processes": processes}, cluster._options(place))
        (up,) = calls(capsys.readouterr().err)
        assert (up.words, up.parameters["directory"]) == (("cluster", "up"), named and Path(named))
        assert (up.parameters["nodes"], up.parameters["out"]) == (3, "s3://b/my runs")


def test_cluster_of_a_folder_is_found_without_naming_it(folder, monkeypatch, capsys):
    from unetpp.launch.local_cluster.folders import find_cluster, remember_folder
    from unetpp.launch.local_cluster.state import write_state

    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
    default = folder / "state/unetpp/clusters/local"
    assert find_cluster("local", None) == default
    plan = NodePlan("127.0.0.1:6379", "/tmp/x", 1, 2, 0)
    state = ClusterState("local", "runs", plan, {"ray": "http://127.0.0.1:9"}, {}, ())
    for name in ("one", "two"):
        (folder / name / "local").mkdir(parents=True)
        remember_folder(folder / name)
        remember_folder(folder / name)
    write_state(folder / "one" / "local", state)
    assert find_cluster("local", None) == folder / "one" / "local"
    assert find_cluster("local", folder / "two") == folder / "two" / "local"
    write_state(folder / "two" / "local", state)
    assert unetpp(["cluster", "down"]) == 2
    assert f"--dir '{folder}/one' or '{folder}/two'" in capsys.readouterr().err
    default.mkdir(parents=True)
    write_state(default, state)
    assert find_cluster("local", None) == default


def test_demo_commands_name_its_folder(folder):
    found = calls("\n".join(demo._next_commands(folder, folder / "run-1", folder / "dataset")))
    assert [call.words[-1] for call in found] == ["predict", "export", "train", "pack"]
    assert all(any(value.startswith(str(folder)) for value in values(call)) for call in found[:-1])


def test_job_commands_name_the_job(capsys):
    def interrupted(_job: str, _on_text: object) -> None:
        raise KeyboardInterrupt

    job_client.follow(SimpleNamespace(follow=interrupted), "a job", json=False)
    assert [call.parameters["job_id"] for call in calls(capsys.readouterr().err)] == ["a job"] * 2


def test_dataset_of_small_shards_names_the_repacking(folder):
    write_untrained_run(folder)
    manifest = RunDir(str(folder / "run")).read_dataset()
    shards = manifest.splits["train"].shards * 1000
    many = manifest.splits["train"].model_copy(update={"shards": shards})
    advice = shard_advice(manifest.model_copy(update={"splits": {"train": many}}), str(folder))
    (call,) = calls(advice.removesuffix(" joins them"))
    assert str(folder) in values(call)


def test_source_puts_no_value_into_a_command_without_quoting_it():
    """`shown_command` does; a value inside the text of a command breaks at its first space."""
    pasted = re.compile(rf"unetpp (?:{VERBS})\b[^`\n;]*\0")
    found = [
        f"{path.relative_to(SOURCE)}:{node.lineno}"
        for path in sorted(SOURCE.rglob("*.py"))
        if "unetpp " in (source := path.read_text(encoding="utf-8"))
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.JoinedStr)
        and pasted.search("".join(v.value if isinstance(v, ast.Constant) else "\0" for v in node.values))
    ]
    assert found == []
