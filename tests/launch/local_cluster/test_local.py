"""A local cluster from the command line: started, used, damaged, mended, stopped."""

import contextlib
import errno
import json
import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from cluster_shell import LocalCluster, get, wait_until, write_cells, write_space
from grafana_boards import BOARDS, NAME, NEEDS_GPU, alert_rules, expressions
from unetpp.core.rundir import RunDir
from unetpp.launch.local_cluster.ports import find_port

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(600)]

_PERIOD_S = 900


@dataclass(frozen=True)
class Disturbed:
    """A run or sweep that lost a node and went on."""

    result: dict[str, Any]
    said: str
    last: int = 0
    """The run's last epoch; there are enough after the loss for several readings of its metrics."""


@pytest.fixture(scope="module")
def disturbed(cluster: LocalCluster) -> Disturbed:
    """A run on two nodes of which one is lost and then mended."""
    last = 22
    training = cluster.training("run", "scale.workers=2", "scale.max_failures=3", f"train.epochs={last}")
    process = cluster.submit("train", *training)
    run = RunDir(str(cluster.out / "run"))
    wait_until(lambda: len(run.read_metrics()) >= 2, "two epochs", process)
    kill_raylet(cluster, _busiest(cluster, "RayTrainWorker"))
    result = finish(process, cluster.shell.log)["result"]
    _mend(cluster)
    return Disturbed(result, cluster.shell.log.read_text(), last)


@pytest.fixture(scope="module")
def swept(cluster: LocalCluster, disturbed: Disturbed, tmp_path_factory: pytest.TempPathFactory) -> Disturbed:
    """A sweep that loses a node; it stays away: what follows needs no more than two."""
    space = write_space(tmp_path_factory.mktemp("space"))
    process = cluster.submit(
        "tune", space,
        *cluster.training("sweep", "tune.trials=3", "train.epochs=10", "tune.scheduler=none"),
    )  # fmt: skip
    wait_until(lambda: all(trial.read_metrics() for trial in _trials(cluster)), "an epoch of each", process)
    kill_raylet(cluster, "node 2")
    return Disturbed(finish(process, cluster.shell.log)["result"], cluster.shell.log.read_text())


def session_members(leader: int) -> dict[int, str]:
    """Command line by number of every living process in a session."""
    command = ["ps", "-ww", "-eo", "pid=,sess=,stat=,args="]
    listed = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = [line.split(maxsplit=3) for line in listed.stdout.splitlines()]
    return {
        int(row[0]): row[3]
        for row in rows
        # One that has ended may wait for the first process of a container to notice.
        if len(row) == 4 and int(row[1]) == leader and not row[2].startswith("Z")
    }


def kill_raylet(cluster: LocalCluster, node: str) -> None:
    members = session_members(cluster.result["pids"][node])
    (raylet,) = [pid for pid, args in members.items() if "raylet/raylet " in args]
    os.kill(raylet, signal.SIGKILL)


def alive_nodes(cluster: LocalCluster) -> int:
    status, body = get(f"{cluster.url('ray')}/nodes?view=summary", cluster.shell.token)
    assert status == 200
    return sum(node["raylet"].get("state") == "ALIVE" for node in json.loads(body)["data"]["summary"])


def finish(process: subprocess.Popen[str], log: Path) -> dict[str, Any]:
    output, _ = process.communicate()
    assert process.returncode == 0, log.read_text()[-3000:]
    result: dict[str, Any] = json.loads(output.splitlines()[-1])
    return result


def test_up_again_says_that_it_runs(cluster: LocalCluster) -> None:
    again = cluster.shell("cluster", "up", "--nodes", "3")
    assert not again["started"]
    assert again["pids"] == cluster.result["pids"]
    assert cluster.status()["state"] == "up"


def test_request_without_token_is_refused(cluster: LocalCluster) -> None:
    body = json.dumps({"entrypoint": "true"}).encode()
    agents = [port for name, port in cluster.result["ports"].items() if name.startswith("agent")]
    for url in (
        f"{cluster.url('ray')}/api/jobs/",
        *(f"http://127.0.0.1:{port}/api/job_agent/jobs/" for port in agents),
    ):
        assert get(url, data=body)[0] == 401
    assert get(f"{cluster.url('ray')}/api/jobs/", "wrong", body)[0] == 403
    assert get(f"{cluster.url('ray')}/api/jobs/", cluster.shell.token)[0] == 200


def test_node_killed_during_training_loses_no_epoch(cluster: LocalCluster, disturbed: Disturbed) -> None:
    assert disturbed.result["finished"]
    assert "training was interrupted" in disturbed.said
    epochs = [epoch["epoch"] for epoch in RunDir(str(cluster.out / "run")).read_metrics()]
    assert epochs == list(range(1, disturbed.last + 1))


@pytest.mark.nightly
def test_job_killed_says_how_to_go_on_and_resumed_loses_no_epoch(cluster: LocalCluster) -> None:
    training, run = cluster.training("killed", "scale.workers=2"), RunDir(str(cluster.out / "killed"))
    process = cluster.submit("train", *training, "train.epochs=1000")
    wait_until(lambda: len(run.read_metrics()) >= 2, "two epochs", process)
    (driver,) = _job_processes(run.uri)
    os.kill(driver, signal.SIGKILL)
    assert process.wait() == 2
    told = "was killed; what it stored is kept: submit train again with --resume"
    assert told in cluster.shell.log.read_text()
    last = len(run.read_metrics()) + 2
    process = cluster.submit("train", *training, f"train.epochs={last}", "--resume")
    assert finish(process, cluster.shell.log)["result"]["finished"]
    assert [epoch["epoch"] for epoch in run.read_metrics()] == list(range(1, last + 1))


def test_train_over_two_nodes_is_followed_by_the_page(cluster: LocalCluster, disturbed: Disturbed) -> None:
    status, body = get(f"{cluster.url('page')}/api/folder")
    assert status == 200
    assert b"/run/run" in body
    status, body = get(f"{cluster.url('page')}/api/cluster")
    (nodes,) = json.loads(body)["blocks"]
    assert [row[1] for row in nodes["rows"]].count("ALIVE") == 3


def test_token_is_in_no_page_and_no_log(cluster: LocalCluster) -> None:
    token = cluster.shell.token.encode()
    pages = [get(f"{cluster.url('page')}{path}")[1] for path in ("/", "/api/folder", "/api/cluster")]
    kept = [path.read_bytes() for path in (cluster.shell.folder / "state").rglob("*") if path.is_file()]
    assert not any(token in text for text in [*pages, *kept])


@pytest.mark.nightly
def test_second_cluster_without_prometheus_leaves_the_first_alone(
    cluster: LocalCluster, tmp_path: Path
) -> None:
    shell = cluster.shell
    # Only what is beside the interpreter, and what Ray itself calls.
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("bash", "sh", "ps", "uname", "ip"):
        found = subprocess.run(["which", tool], capture_output=True, text=True, check=False).stdout.strip()
        if found:
            (tools / tool).symlink_to(found)
    path = str(tools)
    port = str(find_port(7379))
    second = shell("cluster", "up", "--name", "second", "--port", port, "--out", str(tmp_path), PATH=path)
    try:
        assert "prometheus" not in second["urls"]
        assert "prometheus is not installed" in shell.log.read_text()
        assert not set(second["ports"].values()) & set(cluster.result["ports"].values())
        assert shell("cluster", "status", "--name", "second")["state"] == "up"
    finally:
        stopped = shell("cluster", "down", "--name", "second")["stopped"]
    assert stopped
    assert cluster.status()["state"] == "up"


@pytest.mark.nightly
def test_node_killed_during_packing_dataset_is_whole(cluster: LocalCluster, tmp_path: Path) -> None:
    cells = write_cells(tmp_path, 2000)
    process = cluster.submit("data", "pack", *cells, "--out", str(tmp_path / "packed"))
    wait_until(
        lambda: any(_count(cluster, "ray::").values()), "a task on a node other than the head", process
    )
    kill_raylet(cluster, _busiest(cluster, "ray::"))
    result = finish(process, cluster.shell.log)["result"]
    assert sum(result["splits"].values()) == 2000
    assert cluster.shell("data", "verify", str(tmp_path / "packed"))["ok"]
    _mend(cluster)


def test_node_killed_during_sweep_finishes(cluster: LocalCluster, swept: Disturbed) -> None:
    assert swept.result["trials"]["complete"] == 3
    assert all(len(trial.read_metrics()) == 10 for trial in _trials(cluster))


@pytest.mark.prometheus
def test_every_expression_of_a_board_has_data_after_a_run_and_a_sweep(
    cluster: LocalCluster, disturbed: Disturbed, swept: Disturbed
) -> None:
    wanted = {
        expression
        for board in BOARDS
        for expression in expressions(board)
        if not NEEDS_GPU & set(NAME.findall(expression))
    }
    alerts = {name for rule in alert_rules() for name in NAME.findall(rule["expr"])}

    def missing() -> set[str]:
        return {expression for expression in wanted | alerts if not _series(cluster, expression)}

    with contextlib.suppress(pytest.fail.Exception):
        wait_until(lambda: not missing(), "data for every expression")
    assert missing() == set()


def test_down_leaves_no_process_and_no_port_and_twice_is_fine(cluster: LocalCluster) -> None:
    job = cluster.submit("train", *cluster.training("left", "train.epochs=1000"))
    run = RunDir(str(cluster.out / "left"))
    wait_until(lambda: _job_processes(run.uri), "a process of a job", job)
    status = cluster.status()
    sessions = [process["pid"] for process in status["processes"]]
    assert cluster.shell("cluster", "down")["stopped"]
    assert _job_processes(run.uri) == []
    job.kill()
    job.wait()
    assert [session_members(pid) for pid in sessions] == [{}] * len(sessions)
    for port in cluster.result["ports"].values():
        with socket.socket() as probe:
            # Not bound: a connection of another program may have the number for its own end.
            assert probe.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED
    assert cluster.shell("cluster", "down")["stopped"] == []
    assert cluster.shell("cluster", "status")["state"] == "down"


def _series(cluster: LocalCluster, expression: str) -> list[Any]:
    now = time.time()
    query = urlencode({"query": expression, "start": now - _PERIOD_S, "end": now, "step": 5})
    status, body = get(f"{cluster.url('prometheus')}/api/v1/query_range?{query}")
    assert status == 200, body
    series: list[Any] = json.loads(body)["data"]["result"]
    return series


def _trials(cluster: LocalCluster) -> list[RunDir]:
    return [RunDir(str(cluster.out / "sweep" / "trials" / f"{number:04d}")) for number in range(3)]


def _job_processes(place: str) -> list[int]:
    """Processes of running jobs that write to a place."""
    command = ["ps", "-ww", "-eo", "pid=,args="]
    listed = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = [line.split(maxsplit=2) for line in listed.stdout.splitlines()]
    return [
        int(pid)
        for pid, program, *args in rows
        if "python" in program and args and args[0].startswith("-m unetpp train") and f"={place} " in args[0]
    ]


def _count(cluster: LocalCluster, word: str) -> dict[str, int]:
    """How many processes of a kind each node but the head runs; its own ones are no work."""
    return {
        node: sum(word in args and "Agent" not in args for args in session_members(pid).values())
        for node, pid in cluster.result["pids"].items()
        if node.startswith("node")
    }


def _busiest(cluster: LocalCluster, word: str) -> str:
    counts = _count(cluster, word)
    return max(counts, key=lambda node: counts[node])


def _mend(cluster: LocalCluster) -> None:
    """`up` starts what was lost; the head and its memory of the cluster stay."""
    wait_until(lambda: alive_nodes(cluster) == 2, "the loss of a node being noticed")
    again = cluster.shell("cluster", "up")
    assert not again["started"]
    assert again["pids"]["head"] == cluster.result["pids"]["head"]
    assert alive_nodes(cluster) == 3
    cluster.result["pids"].update(again["pids"])
