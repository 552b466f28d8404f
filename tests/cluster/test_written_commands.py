"""Every command that is written down parses, and each train and tune plans up to its first batch or trial."""

import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import typer

from fakes import write_dataset
from machines import GIB, cluster, machine
from unetpp.api.tuning import load_sweep_request
from unetpp.cli.main import build_app, run
from unetpp.cli.remote.verb_call import VerbCall, parse_call
from unetpp.cli.verbs.train import split_arguments
from unetpp.config import Hardware, ModelConfig, Node, load_config
from unetpp.core.errors import ConfigError
from unetpp.core.storage import open_storage
from unetpp.models.build import build_model
from unetpp.training.run.job import stream_plan
from unetpp.training.run.prepare import new_run, resumed_run
from unetpp.tuning.ledger import Ledger
from unetpp.tuning.setup import plan_sweep
from unetpp.tuning.sweep import claim_sweep
from untrained_run import write_untrained_run
from written_commands import ROOT, Words, defined_commands, page_commands, printed_commands

PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "cluster").rglob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "search_spaces" / "README.md",
    *sorted((ROOT / "distributed").rglob("README.md")),
]
DEFINITIONS = [
    path
    for pattern in ("kuberay/rayjob-*.yaml", "skypilot/*.yaml", "slurm/*.sbatch")
    for path in sorted((ROOT / "cluster").glob(pattern))
]
MACHINES = {
    "one machine": replace(machine(2, 8 * GIB), free_disk_bytes=2**40),
    # A head that offers nothing, four nodes with a GPU, and one that reads.
    "cluster": Hardware((*cluster(4).nodes, Node(1, labels={"ray.io/node-group": "cpu"}))),
}


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


class Shell:
    """Plans commands one after the other in a folder, with a real bucket in place of those they name."""

    def __init__(self, folder: Path, bucket: str, hardware: Hardware) -> None:
        self.folder, self.bucket, self.hardware = folder, bucket, hardware

    def plan(self, words: Words) -> None:
        """Parse a command; plan a train or a tune up to its first batch or trial."""
        call = parse(words)
        if call.words == ("cluster", "up") and not self.hardware.gpus:
            # What the page starts on one machine is the cluster that it submits to.
            self.hardware = Hardware(self.hardware.nodes[:1] * call.parameters["nodes"])
        submitted = call.words == ("submit",)
        if submitted:
            call = parse(call.parameters["command"])
        if call.words not in (("train",), ("tune",)) or "..." in " ".join(words):
            return
        arguments = [self._here(argument) for argument in call.parameters["arguments"] or []]
        if submitted or len(self.hardware.nodes) > 1:
            arguments.append("scale.address=auto")  # as `submit` does, which is how a job sees its cluster
        given = dict(text.split("=", 1) for text in split_arguments(arguments)[1])
        if "train.init" in given:
            train_once(Path(given["train.init"]))
        if "data.uri" in given:
            pack_once(given["data.uri"])
        elif call.parameters["resume"] and "out" in given and not open_storage(given["out"]).list(""):
            self.plan([*(word for word in words if word != "--resume"), "data.uri=dataset"])
        if "scale.gpu=true" in arguments and not self._may_have_gpus(arguments):
            with pytest.raises(ConfigError, match=r"1 \w* ?GPU; the cluster has 0|has these labels"):
                self._start(call, arguments)
        else:
            self._start(call, arguments)

    def _start(self, call: VerbCall, arguments: Words) -> None:
        resume = bool(call.parameters["resume"])
        if call.words == ("train",):
            config = load_config(*split_arguments(arguments))
            job, _ = (resumed_run if resume else new_run)(config, self.hardware)
            assert stream_plan(job).train_steps > 0
            return
        config, space = load_sweep_request(
            self._here(call.parameters["space"]), *split_arguments(arguments), resume=resume
        )
        sweep = claim_sweep(plan_sweep(config, space, self.hardware, resume=resume), resume=resume)
        assert Ledger(sweep.setup, sweep.study).next_trial() is not None

    def _may_have_gpus(self, arguments: Words) -> bool:
        return self.hardware.gpus > 0 or "scale.autoscaling=true" in arguments

    def _here(self, text: str) -> str:
        text = text.replace("$PWD", str(self.folder)).replace("/home/ray/unetpp/", "")
        if text.startswith("tune.storage="):
            return f"tune.storage=sqlite:///{self.folder}/database.db"  # a server's stand-in
        key, scheme, path = text.partition("s3://")
        return f"{key}{self.bucket}/{path}" if scheme else text


def pack_once(uri: str) -> None:
    if not open_storage(uri).exists("manifest.json"):
        write_dataset(uri, {"train": 64, "val": 8}, rows_per_shard=64)


def train_once(source: Path) -> None:
    """Weights to start from: a run, or a file of a network on an encoder."""
    if source.suffix == ".safetensors":
        model = ModelConfig(in_channels=3, num_classes=1, depth=2, image_classes=0, encoder="lite0")
        safetensors.torch.save_file(build_model(model).state_dict(), source)
    elif not source.exists():
        write_untrained_run(source.parent, name=source.name, width=16)


@cache
def app() -> typer.Typer:
    return build_app()


def parse(words: Words) -> VerbCall:
    """As the verb itself reads it."""
    try:
        call = parse_call(app(), words)
    except SystemExit as stop:
        raise AssertionError(f"unetpp {' '.join(words)}: exit {stop.code}") from stop
    assert call.command is not None, f"unetpp {' '.join(words)}: no such verb"
    return call


def is_mention(words: Words) -> bool:
    """A verb in running text, without arguments."""
    names = {command.name or command.callback.__name__ for command in app().registered_commands}
    groups = {group.name for group in app().registered_groups}
    return (len(words) == 1 and words[0] in names | groups) or (len(words) == 2 and words[0] in groups)


def is_planned(commands: list[Words]) -> bool:
    return any({"train", "tune"} & set(words) and "..." not in " ".join(words) for words in commands)


@pytest.fixture(params=MACHINES)
def shell(
    request: pytest.FixtureRequest, tmp_path: Path, s3_env: Any, monkeypatch: pytest.MonkeyPatch
) -> Shell:
    shutil.copytree(ROOT / "search_spaces", tmp_path / "search_spaces")
    for name in ("my_space.py", "SPACE.py"):
        shutil.copy(ROOT / "search_spaces" / "smoke.py", tmp_path / name)
    (tmp_path / "run.yaml").write_text("train: {epochs: 2}\n")
    monkeypatch.chdir(tmp_path)
    return Shell(tmp_path, s3_env.new_bucket(), MACHINES[request.param])


@pytest.mark.s3
@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if is_planned(page_commands(page))], ids=shown)
def test_commands_of_a_page_plan(page: Path, shell: Shell) -> None:
    for words in page_commands(page):
        if not is_mention(words):
            shell.plan(words)


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_commands_of_a_page_parse(page: Path) -> None:
    for words in page_commands(page):
        if not is_mention(words):
            parse(words)


@pytest.mark.s3
@pytest.mark.slow
@pytest.mark.parametrize("path", [path for path in DEFINITIONS if "pack" not in path.stem], ids=shown)
def test_commands_of_a_definition_plan(path: Path, shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "stubs").mkdir()
    for words in defined_commands(path, tmp_path / "stubs"):
        parse(words)
        if "--resume" not in words:  # nothing is there yet: the same without it follows
            shell.plan(words)


def test_tables_of_plans_are_what_their_commands_print(capsys: pytest.CaptureFixture[str]) -> None:
    page = ROOT / "cluster" / "README.md"
    commands = [words for words in page_commands(page) if words[0] == "plan" and len(words) > 1]
    assert len(commands) == 2
    for words in commands:
        assert run(words) == 0
        assert capsys.readouterr().out in page.read_text()


def test_definitions_and_pages_hold_the_commands_they_are_for(tmp_path: Path) -> None:
    found = {path.name: [words[0] for words in defined_commands(path, tmp_path)] for path in DEFINITIONS}
    assert {name: verbs[-1] for name, verbs in found.items() if verbs} == {
        "rayjob-pack.yaml": "data", "rayjob-train.yaml": "train", "rayjob-tune.yaml": "tune",
        "sweep.yaml": "tune", "train.sbatch": "train", "tune.sbatch": "tune",
    }  # fmt: skip
    assert {"train", "tune", "submit"} <= {words[0] for words in page_commands(PAGES[0])}


@pytest.mark.slow
def test_commands_that_verbs_print_parse() -> None:
    printed = [(name, words) for name, words in printed_commands() if not is_mention(words)]
    verbs = {f"cli/verbs/{verb}.py" for verb in ("train", "tune", "demo")}
    reports = {f"report/{kind}/sections.py" for kind in ("run", "sweep")}
    assert verbs | reports <= {name for name, _ in printed}
    for _, words in printed:
        parse(words)
