"""Hosts with addresses of their own: network namespaces of this machine, joined by a bridge; needs root."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

_PREFIX = "upp"
_SUBNET = "10.231.77"
_KILL_TIMEOUT_S = 20


def has_namespaces() -> bool:
    """Whether this process may make them."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return False
    name = f"{_PREFIX}probe{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode == 0
    if made:
        subprocess.run(["ip", "netns", "del", name], check=False)
    return made


@dataclass
class Host:
    """One namespace; its interface is eth0."""

    name: str
    address: str
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def outside(self) -> str:
        """The end of its cable that is plugged into the bridge."""
        return f"{self.name}0"

    def run(self, command: Sequence[str], environment: Mapping[str, str], *, timeout_s: float) -> str:
        """Run to the end and return its standard output; another exit code than 0 is an error."""
        done = subprocess.run(
            [*self._inside, *command], env=dict(environment), capture_output=True, text=True,
            timeout=timeout_s, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{command[:6]} ended with {done.returncode}: {done.stderr[-3000:]}"
        return done.stdout

    def start(
        self, command: Sequence[str], environment: Mapping[str, str], log: str
    ) -> subprocess.Popen[bytes]:
        """Start a process that `kill` ends with all its children."""
        with open(log, "ab") as output:
            process = subprocess.Popen(
                [*self._inside, *command], env=dict(environment), stdout=output, stderr=output,
                start_new_session=True,
            )  # fmt: skip
        self.processes.append(process)
        return process

    def listening(self) -> set[int]:
        """Ports that other hosts can connect to."""
        lines = self.run(["ss", "-ltnH"], os.environ, timeout_s=10).splitlines()
        local = [line.split()[3].rsplit(":", 1) for line in lines]
        return {int(port) for address, port in local if not address.startswith(("127.", "[::1]"))}

    def kill(self) -> None:
        """What pulling the plug does: every process in the namespace ends at once."""
        deadline_s = time.monotonic() + _KILL_TIMEOUT_S
        # Again and again: one of them may start another meanwhile.
        while pids := self._pids():
            assert time.monotonic() < deadline_s, f"processes {pids} of host {self.name} do not end"
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            for process in self.processes:
                process.wait(_KILL_TIMEOUT_S)

    def _pids(self) -> list[int]:
        command = ["ip", "netns", "pids", self.name]
        listed = subprocess.run(command, capture_output=True, text=True, check=True)
        return [int(pid) for pid in listed.stdout.split()]

    @property
    def _inside(self) -> list[str]:
        return ["ip", "netns", "exec", self.name]


@contextlib.contextmanager
def network(names: Sequence[str]) -> Iterator[list[Host]]:
    """As many hosts, which reach each other and nothing else."""
    bridge = f"{_PREFIX}br"
    hosts = [Host(f"{_PREFIX}{name}", f"{_SUBNET}.{index}") for index, name in enumerate(names, start=1)]
    with contextlib.ExitStack() as undo:
        _ip("link", "add", bridge, "type", "bridge")
        undo.callback(_ip, "link", "del", bridge)
        _ip("link", "set", bridge, "up")
        for host in hosts:
            _ip("netns", "add", host.name)
            undo.callback(_ip, "netns", "del", host.name)
            _connect(host, bridge)
            undo.callback(_ip, "link", "del", host.outside)
            undo.callback(host.kill)
        yield hosts


def _connect(host: Host, bridge: str) -> None:
    _ip("link", "add", host.outside, "type", "veth", "peer", "name", "eth0", "netns", host.name)
    _ip("link", "set", host.outside, "master", bridge, "up")
    _ip("-n", host.name, "addr", "add", f"{host.address}/24", "dev", "eth0")
    for interface in ("eth0", "lo"):
        _ip("-n", host.name, "link", "set", interface, "up")


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)
