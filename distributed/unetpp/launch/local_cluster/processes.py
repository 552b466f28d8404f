"""Processes that outlive the command which started them, and are found again only if they are the same.

Each is the leader of its own session, which all its descendants belong to. A session's number is not given
away while a member lives, and a leader is recognised by its start time: what is stopped is what was started,
also after the leader itself was killed.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from unetpp.core.errors import UnetppError
from unetpp.core.ownership.process_start import same_start, started_at

__all__ = ["ProcessRecord", "is_running", "log_tail", "spawn", "stop"]

_POLL_S = 0.1
_KILL_TIMEOUT_S = 10.0
_LOG_TAIL_LINES = 15


@dataclass(frozen=True)
class ProcessRecord:
    """A process that was started."""

    name: str
    pid: int
    started: float
    """Unix time; tells it from a later process with the same number."""
    log: str
    """File with its output."""


def spawn(name: str, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> ProcessRecord:
    """Start a session of its own; output goes to `log`, which is readable by its owner only."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            start_new_session=True,
        )
    # It outlives this process: nobody waits for it here.
    process.returncode = 0
    return ProcessRecord(name, process.pid, started_at(process.pid) or 0.0, str(log))


def is_running(record: ProcessRecord) -> bool:
    """Whether the process itself, not merely one with its number, is there."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(record.pid, os.WNOHANG)
    started = started_at(record.pid)
    return started is not None and same_start(started, record.started)


def stop(records: Iterable[ProcessRecord], grace_s: float) -> list[str]:
    """End sessions: SIGTERM to the leaders, after `grace_s` SIGKILL to all members.

    Sessions that members began, such as those of a head's jobs, are ended with them.

    Returns:
        Names of those of which something was still there.

    Raises:
        UnetppError: a process does not end, such as one that waits on a dead network file system.
    """
    found = [record for record in records if _members(record)]
    found += _sessions_begun_by(found)
    named = [record.name for record in found if record.name]
    for record in found:
        if is_running(record):
            _signal(record.pid, signal.SIGTERM)
    deadline_s = time.monotonic() + grace_s
    while any(map(is_running, found)) and time.monotonic() < deadline_s:
        time.sleep(_POLL_S)
    deadline_s = time.monotonic() + _KILL_TIMEOUT_S
    # Again and again: a member may start another one meanwhile.
    while members := [pid for record in found for pid in _members(record)]:
        if time.monotonic() > deadline_s:
            raise UnetppError(f"processes {members} do not end on SIGKILL; the system holds them, try again")
        for pid in members:
            _signal(pid, signal.SIGKILL)
        time.sleep(_POLL_S)
    return named


def log_tail(record: ProcessRecord) -> str:
    """The last lines of its output."""
    with contextlib.suppress(OSError):
        lines = Path(record.log).read_text(errors="replace").splitlines()
        return "\n".join(lines[-_LOG_TAIL_LINES:])
    return ""


def _members(record: ProcessRecord) -> list[int]:
    """Living processes of the session."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(record.pid, os.WNOHANG)
    now = started_at(record.pid)
    if now is not None and not same_start(now, record.started):
        return []  # the number was given away, so the session has ended
    return [pid for pid in psutil.pids() if _session(pid) == record.pid and started_at(pid) is not None]


def _sessions_begun_by(records: Iterable[ProcessRecord]) -> list[ProcessRecord]:
    """Sessions of the members' descendants, without a name; who began them is forgotten once members end."""
    known = {record.pid for record in records} | {os.getsid(0)}
    family = {child for record in records for pid in _members(record) for child in _descendants(pid)}
    leaders = {pid for pid in family if _session(pid) == pid} - known
    return [ProcessRecord("", leader, started_at(leader) or 0.0, "") for leader in leaders]


def _descendants(pid: int) -> list[int]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    return []


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
