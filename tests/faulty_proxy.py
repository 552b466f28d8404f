"""An HTTP proxy before an S3 server that fails on demand and counts what passes."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import urlsplit

Fault = Literal["503", "denied", "expired", "flip", "stall", "truncate"]
_ERRORS = {"503": (503, "SlowDown"), "denied": (403, "AccessDenied"), "expired": (403, "ExpiredToken")}
ALWAYS = 10**6


class FaultyProxy:
    """Forwards everything; `fail` spoils the next answers to GETs of shards, or of what `watched` names."""

    def __init__(self, upstream: str, endpoint: str) -> None:
        self.upstream, self.endpoint = urlsplit(upstream).netloc, endpoint
        self.gets: list[str] = []
        """Paths of the watched GETs, in order."""
        self.watched = "/shards/"
        """Part of their paths."""
        self.closing = threading.Event()
        self._fault: Fault = "503"
        self._left = self._spared = 0
        self._lock = threading.Lock()

    def fail(self, fault: Fault, times: int = ALWAYS, *, after: int = 0) -> None:
        """Spoil so many answers once `after` more have passed."""
        with self._lock:
            self._fault, self._left, self._spared = fault, times, after

    def next_fault(self, method: str, path: str) -> Fault | None:
        if method != "GET" or self.watched not in path:
            return None
        with self._lock:
            self.gets.append(urlsplit(path).path)
            if self._spared > 0:
                self._spared -= 1
                return None
            self._left -= 1
            return self._fault if self._left >= 0 else None


@contextmanager
def faulty_proxy(upstream: str) -> Iterator[FaultyProxy]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    proxy = FaultyProxy(upstream, f"http://127.0.0.1:{server.server_port}")
    server.RequestHandlerClass.proxy = proxy
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: FaultyProxy

    def _forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fault = self.proxy.next_fault(self.command, self.path)
        if fault in _ERRORS:
            self._refuse(*_ERRORS[fault])
            return
        upstream = http.client.HTTPConnection(self.proxy.upstream)
        # The Host header is part of the signature: it goes through as it came.
        upstream.request(self.command, self.path, body, dict(self.headers))
        answer = upstream.getresponse()
        content = bytearray(answer.read())
        upstream.close()
        if fault == "flip":
            content[len(content) // 2] ^= 1
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("content-length", "connection", "transfer-encoding", "server", "date"):
                self.send_header(name, value)
        length = answer.headers.get("Content-Length", str(len(content)))
        self.send_header("Content-Length", length if self.command == "HEAD" else str(len(content)))
        self.end_headers()
        if fault in ("stall", "truncate"):
            self.wfile.write(content[: len(content) // 2])
            self.wfile.flush()
            if fault == "stall":
                self.proxy.closing.wait()
            self.close_connection = True
        else:
            self.wfile.write(content)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _forward  # noqa: N815, names of the base class

    def _refuse(self, status: int, code: str) -> None:
        text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{code}</Message></Error>".encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        """Quiet."""
