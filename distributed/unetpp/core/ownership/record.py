"""What a process says of itself where it works on a run or a sweep."""

import getpass
import json
import os
import socket
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Self
from uuid import uuid4

from unetpp.core.ownership.process_start import same_start, started_at
from unetpp.core.provenance import command_line

__all__ = ["OwnerRecord"]

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_PID_NAMESPACE = Path("/proc/self/ns/pid")


@dataclass(frozen=True)
class OwnerRecord:
    """A process, wherever it runs; times are those of its own clock and for people only."""

    host: str
    kernel: str
    """Boot and process namespace: two processes with the same one can see each other; empty if unknown."""
    pid: int
    started: float
    """Of the process, by its own clock; tells it from a later one with its number."""
    user: str
    command: str
    since: str
    token: str
    """Of this claim alone."""
    heartbeat: int = 0
    heartbeat_at: str = ""
    released: bool = False

    @classmethod
    def of_this_process(cls) -> Self:
        now = _now()
        return cls(
            host=socket.gethostname(),
            kernel=_kernel(),
            pid=os.getpid(),
            started=started_at(os.getpid()) or 0.0,
            user=_user(),
            command=command_line(),
            since=now,
            token=uuid4().hex,
            heartbeat_at=now,
        )

    def next_heartbeat(self) -> Self:
        return replace(self, heartbeat=self.heartbeat + 1, heartbeat_at=_now())

    def as_released(self) -> Self:
        return replace(self, released=True)

    def to_bytes(self) -> bytes:
        return json.dumps(asdict(self), indent=1).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        return cls(**json.loads(data))

    def is_alive(self) -> bool | None:
        """Whether the process is there; None if it cannot be seen from here."""
        if not self.kernel or self.kernel != _kernel():
            return None
        started = started_at(self.pid)
        return started is not None and same_start(started, self.started)

    def __str__(self) -> str:
        return (
            f"process {self.pid} of {self.user} on {self.host} ({self.command}) since {self.since}, "
            f"last heartbeat {self.heartbeat_at}"
        )


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _kernel() -> str:
    try:
        return f"{_BOOT_ID.read_text().strip()} {os.readlink(_PID_NAMESPACE)}"
    except OSError:
        return ""


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run as a number without a name
        return str(os.getuid())
