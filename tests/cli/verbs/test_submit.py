"""`unetpp submit` and `jobs` before any cluster is asked, and `cluster render`."""

import json
import socket
from contextlib import closing

import pytest
import yaml

from unetpp.cli.main import build_app, run
from unetpp.cli.remote.verb_call import parse_call
from unetpp.launch.dashboard_api import HeadInfo
from unetpp.launch.submit.paths import SUBMITTABLE

_LEAST = {
    ("train",): [],
    ("tune",): ["space.py"],
    ("data", "pack"): ["--images", "i", "--masks", "m", "--out", "o"],
    ("evaluate",): ["run"],
    ("predict",): ["run", "in", "--out", "o"],
}
"""What each verb cannot do without."""


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch, tmp_path) -> str:
    """A token, and a port where nobody listens."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", url)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.chdir(tmp_path)
    return url


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "submit runs one of train, tune, data pack, evaluate, predict; it cannot run trian"),
        (["data", "verify", "x"], "it cannot run data verify"),
        (["doctor"], "it cannot run doctor"),
        (["train", "--nope"], "No such option: --nope"),
        (["data", "pack", "--out", "x"], "Missing option '--images'"),
        (["--env", "NOT_SET", "train"], "--env NOT_SET must name a variable"),
        (["train", "data.uri=s3://b/d"], "no Ray head answers"),
    ],
)
def test_submit_mistake_exits_2_and_says_what_is_wrong(arguments, message, capsys):
    assert run(["submit", *arguments]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["list", "status", "logs", "stop"])
def test_jobs_without_a_head_exits_2(verb, capsys):
    assert run(["jobs", verb]) == 2
    assert "no Ray head answers" in capsys.readouterr().err


def test_submit_without_a_token_exits_2(monkeypatch, tmp_path, capsys):
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "none"))
    assert run(["submit", "train"]) == 2
    assert "a cluster's token is needed" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    "tokens",
    [
        ["train", "c.yaml", "train.epochs=2", "--resume"],
        ["tune", "--resume", "space.py", "c.yaml", "tune.trials=3"],
        [
            "data",
            "pack",
            "--images",
            "train=a b",
            "--images",
            "val=c",
            "--masks",
            "m",
            "--out",
            "o",
            "--val",
            "0.2",
        ],
        ["evaluate", "run", "data.uri=s3://b/d", "--split", "test", "--level", "2"],
        ["predict", "run", "in", "--out", "o", "--overlay"],
    ],
)
def test_call_put_together_again_means_the_same(tokens):
    first = parse_call(build_app(), tokens)
    again = parse_call(build_app(), [*first.words, *first.arguments(first.parameters)])
    assert again.words == first.words
    assert again.parameters == first.parameters


class RecordingJobs:
    """Takes jobs and runs none."""

    def __init__(self) -> None:
        self.entrypoints: list[str] = []
        self.metadata: list[dict[str, str]] = []

    def submit(self, job_id: str, entrypoint: str, *, metadata: dict[str, str], **_: object) -> None:
        self.entrypoints.append(entrypoint)
        self.metadata.append(metadata)


@pytest.fixture
def accepting(monkeypatch) -> RecordingJobs:
    """A head on this machine."""
    jobs = RecordingJobs()
    head = HeadInfo("http://127.0.0.1:8265", "2", "3", "python", socket.gethostname())
    monkeypatch.setattr("unetpp.cli.verbs.submit.connect", lambda _: (head, jobs))
    return jobs


def test_submit_tune_ships_the_space_and_names_each_place_once(accepting, tmp_path):
    (tmp_path / "space.py").write_text("from pathlib import Path\nother = 'loss.py'\ndef space(trial): ...\n")
    (tmp_path / "loss.py").write_text("")
    given = ["tune", "space.py", "data.uri=data", f"out={tmp_path}/sweep", "tune.trials=4"]
    assert run(["submit", "--no-wait", *given]) == 0
    _, command = accepting.entrypoints[0].split(" -m unetpp ")
    places = f"data.uri={tmp_path}/data out={tmp_path}/sweep"
    assert command == f"tune inputs/0/space.py {places} tune.trials=4 scale.address=auto"


def test_submit_tune_of_a_sweeps_folder_leaves_its_configuration_alone(accepting, tmp_path):
    (tmp_path / "sweep").mkdir()
    assert run(["submit", "--no-wait", "tune", "--resume", "sweep", "tune.trials=9"]) == 0
    _, command = accepting.entrypoints[0].split(" -m unetpp ")
    assert command == f"tune --resume {tmp_path}/sweep tune.trials=9 scale.address=auto"
    assert accepting.metadata[0]["run"] == f"{tmp_path}/sweep"


@pytest.mark.parametrize(
    ("given", "command", "makes"),
    [
        (
            ["evaluate", "run", "data.uri=new", "--split", "test"],
            "evaluate --split test --address auto {here}/run data.uri={here}/new",
            "{here}/run",
        ),
        (
            ["evaluate", "run", "m.onnx", "--out", "both"],
            "evaluate --out {here}/both {here}/run {here}/m.onnx",
            "{here}/both",
        ),
        (
            ["predict", "run", "in", "--out", "masks"],
            "predict --out {here}/masks --address auto {here}/run {here}/in",
            "{here}/masks",
        ),
        (
            ["predict", "run", "in", "--out", "masks", "--workers", "0"],
            "predict --out {here}/masks --workers 0 {here}/run {here}/in",
            "{here}/masks",
        ),
        (
            ["data", "pack", "--images", "train=i", "--masks", "m", "--out", "d"],
            "data pack --images train={here}/i --masks {here}/m --out {here}/d",
            "{here}/d",
        ),
    ],
)
def test_submit_of_any_verb_names_its_places_and_what_it_makes(accepting, tmp_path, given, command, makes):
    (tmp_path / "m.onnx").write_bytes(b"small")  # a model is read where it lies, not shipped
    assert run(["submit", "--no-wait", *given]) == 0
    _, words = accepting.entrypoints[0].split(" -m unetpp ")
    for part in command.format(here=tmp_path).split():
        assert part in words.split()
    assert accepting.metadata[0]["run"] == makes.format(here=tmp_path)


@pytest.mark.parametrize("verb", [["evaluate", "run"], ["predict", "run", "in", "--out", "masks"]])
def test_submitted_verb_is_shared_unless_its_own_process_is_to_do_it(accepting, verb):
    alone = (["--gpus", "1", *verb], [*verb, "--workers", "0"])
    shared = (verb, ["--gpus", "1", *verb, "--workers", "2"])
    for given in (*alone, *shared):
        assert run(["submit", "--no-wait", *given]) == 0
    assert ["--address auto" in entrypoint for entrypoint in accepting.entrypoints] == [
        False,
        False,
        True,
        True,
    ]


@pytest.mark.parametrize("words", SUBMITTABLE)
def test_parameters_whose_paths_are_decided_are_those_of_the_verb(words):
    paths = SUBMITTABLE[words]
    known = {parameter.name for parameter in parse_call(build_app(), [*words, *_LEAST[words]]).command.params}
    assert {*paths.files, *paths.places, *filter(None, [paths.overrides])} <= known


def test_submit_train_adds_the_places_of_the_configuration_file(accepting, tmp_path):
    (tmp_path / "c.yaml").write_text("{data: {uri: data}, out: run}")
    assert run(["submit", "--no-wait", "train", "c.yaml"]) == 0
    _, command = accepting.entrypoints[0].split(" -m unetpp ")
    places = f"out={tmp_path}/run data.uri={tmp_path}/data"
    assert command == f"train inputs/0/c.yaml {places} scale.address=auto"


def test_cluster_render_writes_a_file_that_parses(tmp_path, capsys):
    out = tmp_path / "cluster.yaml"
    arguments = ("kuberay", "--workers", "5", "--gpus", "1", "--image", "r/u:1", "--out", str(out), "--json")
    assert run(["cluster", "render", *arguments]) == 0
    assert json.loads(capsys.readouterr().out) == {"file": str(out)}
    assert yaml.safe_load(out.read_text())["spec"]["workerGroupSpecs"][-1]["maxReplicas"] == 5


def test_cluster_render_unknown_target_exits_2(capsys):
    assert run(["cluster", "render", "nomad"]) == 2
    assert "kuberay, slurm, compose" in capsys.readouterr().err
