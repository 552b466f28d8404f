"""What nodes do, from answers of Ray's dashboard as version 2.60 gives them."""

import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from unetpp.core.errors import UnetppError
from unetpp.launch.node_use import node_use

TOKEN = "t" * 32
HEAD = {
    "hostname": "vm", "cpu": 25.0, "mem": [1000, 600, 40.0, 400],
    "gpus": [{"name": "H100", "utilizationGpu": 50, "memoryUsed": 10, "memoryTotal": 80}],
    "raylet": {"nodeId": "aabbccddee", "state": "ALIVE", "isHeadNode": True},
}  # fmt: skip
GONE = {"raylet": {"nodeId": "1122334455", "state": "DEAD", "nodeManagerHostname": "old"}}
USED = "1.0/2.0 CPU (1.0 used of 1.0 reserved in placement groups)\n0.0/1.0 GPU\n0B/22.07GiB memory"
ANSWER = {"data": {"summary": [GONE, HEAD], "nodeLogicalResources": {"aabbccddee": USED}}}


class _Dashboard(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        allowed = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        body = json.dumps(ANSWER).encode() if allowed else b""
        self.send_response(200 if allowed else 403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def dashboard() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Dashboard)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_node_use_reads_load_memory_and_gpus(dashboard: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", TOKEN)
    head, gone = node_use(dashboard)
    assert (head.name, head.state, head.cpu) == ("head aabbccdd vm", "ALIVE", 0.25)
    assert (head.memory_used_bytes, head.memory_bytes) == (400, 1000)
    (gpu,) = head.gpus
    assert (gpu.name, gpu.busy, gpu.used_bytes, gpu.bytes) == ("H100", 0.5, 10 * 2**20, 80 * 2**20)
    assert head.resources_used == "1.0/2.0 CPU, 0.0/1.0 GPU"
    assert (gone.name, gone.state, gone.cpu, gone.gpus) == ("11223344 old", "DEAD", None, ())


def test_node_use_wrong_token_names_the_remedy(dashboard: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "wrong")
    with pytest.raises(UnetppError, match="RAY_AUTH_TOKEN_PATH"):
        node_use(dashboard)


def test_node_use_nobody_answers_names_the_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", TOKEN)
    with pytest.raises(UnetppError, match=r"127\.0\.0\.1:1"):
        node_use("http://127.0.0.1:1")
