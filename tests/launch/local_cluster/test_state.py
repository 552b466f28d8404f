"""What is remembered of a cluster."""

from pathlib import Path

import pytest

from unetpp.core.errors import UserError
from unetpp.launch.local_cluster.nodes import NodePlan
from unetpp.launch.local_cluster.processes import ProcessRecord
from unetpp.launch.local_cluster.state import ClusterState, delete_state, locked, read_state, write_state

PLAN = NodePlan("127.0.0.1:6379", "/tmp/r", 2, 2, 0)
HEAD = ProcessRecord("head", 12, 345.0, "/tmp/head.log")


def _state() -> ClusterState:
    return ClusterState("a", "runs", PLAN, {"ray": "http://127.0.0.1:8265"}, {"ray": 6379}, (HEAD,))


def test_write_state_reads_back_and_is_private(tmp_path: Path) -> None:
    write_state(tmp_path, _state())
    assert read_state(tmp_path) == _state()
    (file,) = tmp_path.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


def test_read_state_after_delete_is_none(tmp_path: Path) -> None:
    write_state(tmp_path, _state())
    delete_state(tmp_path)
    assert read_state(tmp_path) is None


def test_read_state_damaged_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "cluster.json").write_text('{"name": "a"}')
    with pytest.raises(UserError, match=r"cluster\.json"):
        read_state(tmp_path)


def test_having_process_of_same_name_replaces_it() -> None:
    again = ProcessRecord("head", 13, 999.0, "/tmp/head.log")
    state = _state().having(again)
    assert state.processes == (again,)


def test_locked_twice_refuses_the_second(tmp_path: Path) -> None:
    with locked(tmp_path / "c"), pytest.raises(UserError, match="another"), locked(tmp_path / "c"):
        pass
    assert (tmp_path / "c").stat().st_mode & 0o077 == 0
