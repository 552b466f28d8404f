"""Processes that are started, recognised and stopped, real ones."""

import dataclasses
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from unetpp.launch.local_cluster.processes import ProcessRecord, is_running, log_tail, spawn, stop

_LEADER_WITH_CHILD = """
import subprocess, sys
child = subprocess.Popen(["sleep", "600"])
print(child.pid, flush=True)
child.wait()
"""
_DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(600)
"""
Start = Callable[..., ProcessRecord]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[ProcessRecord] = []

    def run(*command: str) -> ProcessRecord:
        record = spawn(f"p{len(started)}", command, tmp_path / f"p{len(started)}.log", os.environ)
        started.append(record)
        return record

    yield run
    stop(started, 0.0)


def _first_line(record: ProcessRecord) -> str:
    # `tail` ends by itself after the first line, which the process writes when it is ready.
    command = ["timeout", "30", "sh", "-c", f"tail -n +1 -f {record.log} | head -n 1"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _is_alive(pid: int) -> bool:
    """A zombie, which waits for its parent to notice, is not."""
    listed = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return bool(listed.stdout.strip()) and not listed.stdout.startswith("Z")


def test_stop_running_process_ends_it_and_names_it(start: Start) -> None:
    record = start("sleep", "600")
    assert is_running(record)
    assert stop([record], 5.0) == [record.name]
    assert not is_running(record)


def test_stop_twice_finds_nothing_the_second_time(start: Start) -> None:
    record = start("sleep", "600")
    stop([record], 5.0)
    assert stop([record], 5.0) == []


def test_stop_reused_number_leaves_the_other_process_alone(start: Start) -> None:
    record = start("sleep", "600")
    earlier = dataclasses.replace(record, started=1.0)
    assert not is_running(earlier)
    assert stop([earlier], 0.0) == []
    assert is_running(record)


def test_stop_process_that_ignores_sigterm_kills_it(start: Start) -> None:
    record = start(sys.executable, "-c", _DEAF)
    assert _first_line(record) == "ready"
    assert stop([record], 0.2) == [record.name]
    assert not is_running(record)


@pytest.mark.parametrize("leader_is_killed", [False, True])
def test_stop_leader_with_child_leaves_no_child(start: Start, leader_is_killed: bool) -> None:
    record = start(sys.executable, "-c", _LEADER_WITH_CHILD)
    child = int(_first_line(record))
    if leader_is_killed:
        os.kill(record.pid, signal.SIGKILL)
        os.waitpid(record.pid, 0)
    assert stop([record], 5.0) == [record.name]
    assert not _is_alive(child)


def test_stop_ends_the_sessions_that_members_began(start: Start) -> None:
    record = start(sys.executable, "-c", _LEADER_WITH_CHILD.replace('600"]', '600"], start_new_session=True'))
    child = int(_first_line(record))
    assert os.getsid(child) == child
    assert stop([record], 5.0) == [record.name]
    assert not _is_alive(child)


def test_spawn_writes_output_to_a_private_log(start: Start) -> None:
    record = start("sh", "-c", "echo hello; echo problem >&2")
    os.waitpid(record.pid, 0)
    assert log_tail(record) == "hello\nproblem"
    assert Path(record.log).stat().st_mode & 0o077 == 0
