"""The live page over HTTP."""

import http.client
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from unetpp.core.errors import UserError
from unetpp.report.live.server import LiveServer
from unetpp.report.live.site import Site


def _no_nodes() -> list[dict[str, object]]:
    return []


@pytest.fixture
def server(tmp_path: Path, write_run: Callable[..., str]) -> Iterator[LiveServer]:
    write_run("a")
    live = LiveServer(Site(str(tmp_path), cluster=_no_nodes, pages=()), 0)
    thread = threading.Thread(target=live.serve_forever)
    thread.start()
    yield live
    live.shutdown()
    live.server_close()
    thread.join()


def _request(server: LiveServer, method: str, path: str, host: str = "127.0.0.1") -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(*server.server_address[:2], timeout=10)  # type: ignore[arg-type]
    connection.request(method, path, headers={"Host": host})
    response = connection.getresponse()
    response.read()
    return response


def test_get_is_answered_with_a_strict_policy(server: LiveServer) -> None:
    answer = _request(server, "GET", "/run/a")
    assert answer.status == 200
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"])
def test_other_methods_are_refused(server: LiveServer, method: str) -> None:
    answer = _request(server, method, "/")
    assert (answer.status, answer.headers["Allow"]) == (405, "GET")


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "[::"])
def test_foreign_host_name_is_refused(server: LiveServer, host: str) -> None:
    assert _request(server, "GET", "/", host).status == 403


@pytest.mark.parametrize("host", ["localhost:9999", "127.0.0.1"])
def test_own_host_name_is_accepted_behind_a_tunnel(server: LiveServer, host: str) -> None:
    assert _request(server, "GET", "/", host).status == 200


def test_path_that_leads_out_is_not_found(server: LiveServer) -> None:
    assert _request(server, "GET", "/run/../../../etc/passwd").status == 404


def test_server_listens_on_loopback_only(server: LiveServer) -> None:
    assert server.server_address[0] == "127.0.0.1"


def test_port_taken_is_a_clear_error(server: LiveServer, tmp_path: Path) -> None:
    port = int(server.server_address[1])
    with pytest.raises(UserError, match=str(port)):
        LiveServer(Site(str(tmp_path), cluster=_no_nodes, pages=()), port)
