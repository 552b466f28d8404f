"""A head made of a few HTTP routes, and real heads in processes of their own."""

import asyncio
import contextlib
import os
import platform
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from cluster_nodes import NODE_SETTINGS
from unetpp.launch.priority import WORKER_PRIORITY

TOKEN = "0123456789abcdef" * 4
_START_TIMEOUT_S = 90.0


@dataclass
class FakeHead:
    """What a test may change of the head, and what it was asked."""

    url: str = ""
    open_to_all: bool = False
    is_ray: bool = True
    reports_after: int = 0
    """Requests for the nodes before the head node has reported."""
    ray_version: str = metadata.version("ray")
    python_version: str = platform.python_version()
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    connections: list[list[str]] = field(default_factory=list)
    """Texts sent on each connection to a log, in turn; a connection that ends early is aborted."""
    requests: list[str] = field(default_factory=list)


@pytest.fixture
def fake_head() -> Iterator[FakeHead]:
    """Serves until the test ends."""
    head, loop, ready = FakeHead(), asyncio.new_event_loop(), threading.Event()

    async def serve() -> web.AppRunner:
        runner = web.AppRunner(_application(head), shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        head.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"
        ready.set()
        return runner

    runner = None

    def run() -> None:
        nonlocal runner
        runner = loop.run_until_complete(serve())
        loop.run_forever()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(10)
    yield head
    asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)


def _application(head: FakeHead) -> web.Application:
    @web.middleware
    async def check_token(request: web.Request, handler: Callable[..., Any]) -> web.StreamResponse:
        head.requests.append(f"{request.method} {request.path}")
        given = request.headers.get("Authorization")
        if not head.open_to_all and given != f"Bearer {TOKEN}":
            return web.Response(status=403 if given else 401, text="Unauthorized")
        return await handler(request)

    async def version(_: web.Request) -> web.Response:
        return web.json_response({"version": "4", "ray_version": head.ray_version})

    async def cluster(_: web.Request) -> web.Response:
        return web.json_response({"data": {"pythonVersion": head.python_version} if head.is_ray else None})

    async def nodes(_: web.Request) -> web.Response:
        head.reports_after -= 1
        if head.reports_after >= 0:
            return web.json_response({"data": {"summary": [{"raylet": {"isHeadNode": True}}]}})
        command = ["raylet", "--python_worker_command=/opt/python3 setup_worker.py", "--head"]
        node = {"hostname": "head-0", "cmdline": command, "raylet": {"isHeadNode": True}}
        return web.json_response({"data": {"summary": [node]}})

    async def job(request: web.Request) -> web.Response:
        found = head.jobs.get(request.match_info["id"])
        return web.json_response(found) if found else web.Response(status=404, text="no such job: 404")

    async def jobs(_: web.Request) -> web.Response:
        return web.json_response(list(head.jobs.values()))

    async def tail(request: web.Request) -> web.StreamResponse:
        socket_ = web.WebSocketResponse()
        await socket_.prepare(request)
        for text in head.connections.pop(0):
            await socket_.send_str(text)
        if head.connections:
            request.transport.abort()
        return socket_

    app = web.Application(middlewares=[check_token])
    app.router.add_get("/api/version", version)
    app.router.add_get("/api/v0/cluster_metadata", cluster)
    app.router.add_get("/nodes", nodes)
    app.router.add_get("/api/jobs/", jobs)
    app.router.add_get("/api/jobs/{id}", job)
    app.router.add_get("/api/jobs/{id}/logs/tail", tail)
    return app


@dataclass
class RealHead:
    """`ray start --head` with a token of its own; `restart` loses everything, as a crash does."""

    folder: Path
    environment: dict[str, str]
    port: int
    dashboard_port: int
    agent_port: int
    client_port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.dashboard_port}"

    @property
    def token(self) -> str:
        return Path(self.environment["RAY_AUTH_TOKEN_PATH"]).read_text()

    def start(self) -> None:
        command = [
            *(str(Path(sys.executable).parent / "ray"), "start", "--head", "--block"),
            *("--disable-usage-stats", "--num-cpus=4", f"--object-store-memory={200 * 2**20}"),
            *(f"--port={self.port}", "--dashboard-host=127.0.0.1", f"--dashboard-port={self.dashboard_port}"),
            *(
                f"--dashboard-agent-listen-port={self.agent_port}",
                f"--ray-client-server-port={self.client_port}",
            ),
            *("--min-worker-port=0", "--max-worker-port=0", f"--temp-dir={self.folder}/ray"),
        ]
        with (self.folder / "head.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, env=self.environment, start_new_session=True
            )
        self._wait()

    def _wait(self) -> None:
        from unetpp.core.errors import UserError
        from unetpp.launch.dashboard_api import describe_head

        deadline_s = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline_s and self.process.poll() is None:
            with contextlib.suppress(UserError, KeyError):
                # The agent runs jobs; the node is listed once it has reported.
                if describe_head(self.url, self.token).python != "python":
                    return
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.3)
        pytest.fail(f"the head did not start: {(self.folder / 'head.log').read_text()[-2000:]}")

    def kill(self) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None
        # Its children die with it, a moment later.
        deadline_s = time.monotonic() + _START_TIMEOUT_S
        while _listening(self.port) or _listening(self.dashboard_port) or _listening(self.agent_port):
            assert time.monotonic() < deadline_s
            time.sleep(0.1)


def _listening(port: int) -> bool:
    with contextlib.closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(contextlib.closing(socket.socket())) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


@pytest.fixture(scope="module")
def real_head(s3_server: Any) -> Iterator[RealHead]:
    """One head per module; its nodes know planted credentials, which must appear nowhere."""
    # Not pytest's folder: the paths of Ray's sockets must stay below 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="unetpp-head-"))
    token = folder / "token"
    token.touch(0o600)
    token.write_text(secrets.token_hex(32))
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "AWS_"))},
        **s3_server.env,
        **NODE_SETTINGS,
        **WORKER_PRIORITY,
        "PYTHONPATH": "",
        "PGPASSWORD": CANARY,
        "WANDB_API_KEY": CANARY,
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "OMP_NUM_THREADS": "1",
    }
    head = RealHead(folder, environment, *free_ports(4))
    try:
        head.start()
        yield head
    finally:
        head.kill()
        shutil.rmtree(folder, ignore_errors=True)


CANARY = f"canary-{secrets.token_hex(12)}"
"""A credential that a leak would show."""
