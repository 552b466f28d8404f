"""`cluster` and `dashboard` where no cluster is needed: nothing runs, a name or port is wrong."""

import json
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from unetpp.cli.main import run
from unetpp.cli.verbs.dashboard import node_rows
from unetpp.launch.node_use import GpuUse, NodeUse


def _json(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    found: dict[str, object] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return found


def test_down_without_a_cluster_is_fine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["cluster", "down", "--dir", str(tmp_path), "--json"]) == 0
    assert _json(capsys) == {"stopped": []}


def test_status_without_a_cluster_is_down(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["cluster", "status", "--dir", str(tmp_path), "--json"]) == 0
    assert _json(capsys) == {"state": "down", "processes": []}


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/etc"])
def test_name_that_is_no_word_is_refused(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["cluster", "down", "--dir", str(tmp_path), "--name", name]) == 2
    assert "--name" in capsys.readouterr().err


def test_up_on_a_taken_port_names_it_and_starts_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        assert run(["cluster", "up", "--dir", str(tmp_path), "--port", port]) == 2
    assert f"port {port} must be free" in capsys.readouterr().err
    assert not (tmp_path / "local" / "cluster.json").exists()


def test_node_rows_show_load_and_gpus() -> None:
    gpu = GpuUse("H100", 0.5, 2**30, 80 * 2**30)
    node = NodeUse("head ab vm", "ALIVE", 0.25, 2**30, 4 * 2**30, (gpu,), "1.0/2.0 CPU")
    gone = NodeUse("cd old", "DEAD", None, 0, 0, (), "")
    assert node_rows([node, gone]) == [
        ["head ab vm", "ALIVE", "25.0 %", "1 GiB of 4 GiB", "H100 50.0 %, 1 GiB of 80 GiB", "1.0/2.0 CPU"],
        ["cd old", "DEAD", "–", "–", "–", "–"],
    ]


@pytest.mark.slow
@pytest.mark.usefixtures("keyboard")
def test_dashboard_serves_until_interrupted(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "unetpp", "dashboard", str(tmp_path), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["url"]
        with urllib.request.urlopen(url, timeout=20) as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
