"""Command lines and environments of nodes."""

import pytest

from unetpp.launch.local_cluster.nodes import NodePlan, node_command, node_environment, node_names

PORTS = {"ray": 6379, "dashboard": 8265, "client": 10001, "agent 0": 52365, "agent 1": 52366}


def _plan(nodes: int = 2, gpus: int = 0) -> NodePlan:
    return NodePlan("127.0.0.1:6379", "/tmp/unetpp-ray-x", nodes, 2, gpus)


def test_node_command_dashboard_listens_on_loopback_only() -> None:
    assert "--dashboard-host=127.0.0.1" in node_command(_plan(), PORTS, 0)


def test_node_command_each_node_has_its_own_agent_port() -> None:
    commands = [node_command(_plan(), PORTS, index) for index in range(2)]
    agents = [next(o for o in command if "agent-listen" in o) for command in commands]
    assert agents == ["--dashboard-agent-listen-port=52365", "--dashboard-agent-listen-port=52366"]
    assert "--address=127.0.0.1:6379" in commands[1]
    assert "--head" not in commands[1]


def test_node_command_each_node_has_its_own_folder_for_the_code_of_jobs() -> None:
    folders = [
        next(option for option in node_command(_plan(), PORTS, index) if option.startswith("--temp-dir"))
        for index in range(2)
    ]
    assert folders == ["--temp-dir=/tmp/unetpp-ray-x", "--temp-dir=/tmp/unetpp-ray-x/1"]


def test_node_environment_asks_for_a_token_and_forgets_other_clusters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    environment = node_environment(_plan(), 0, "http://127.0.0.1:9090")
    assert environment["RAY_AUTH_MODE"] == "token"
    assert "RAY_ADDRESS" not in environment


@pytest.mark.parametrize(("given", "niceness"), [(None, "0"), ("10", "10")])
def test_node_environment_workers_have_the_priority_of_other_programs_unless_told(
    given: str | None, niceness: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_worker_niceness", raising=False)
    if given is not None:
        monkeypatch.setenv("RAY_worker_niceness", given)
    assert node_environment(_plan(), 0, "")["RAY_worker_niceness"] == niceness


def test_node_environment_a_killed_node_is_soon_a_lost_one_unless_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("RAY_health_check_period_ms", raising=False)
    assert node_environment(_plan(), 0, "")["RAY_health_check_period_ms"] == "500"
    monkeypatch.setenv("RAY_health_check_period_ms", "3000")
    assert node_environment(_plan(), 0, "")["RAY_health_check_period_ms"] == "3000"


def test_node_environment_threads_wait_without_spinning() -> None:
    assert node_environment(_plan(), 0, "")["OMP_WAIT_POLICY"] == "passive"


def test_node_environment_gpus_are_dealt_out_without_overlap() -> None:
    shares = [
        node_environment(_plan(3, gpus=4), index, "")["CUDA_VISIBLE_DEVICES"].split(",") for index in range(3)
    ]
    assert sorted(gpu for share in shares for gpu in share) == ["0", "1", "2", "3"]


def test_node_environment_more_nodes_than_gpus_leaves_some_without() -> None:
    assert node_environment(_plan(3, gpus=1), 2, "")["CUDA_VISIBLE_DEVICES"] == ""


def test_node_names_head_is_first() -> None:
    assert node_names(_plan(3)) == ["head", "node 1", "node 2"]
