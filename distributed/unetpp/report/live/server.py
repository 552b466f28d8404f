"""The live page's HTTP server: this machine only, GET only."""

import http.server
import logging
from typing import Any, ClassVar
from urllib.parse import urlsplit

from unetpp.core.errors import UserError
from unetpp.report.live.site import Answer, Site

__all__ = ["LiveServer"]

logger = logging.getLogger(__name__)

_HOST = "127.0.0.1"
_OWN_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})
_TIMEOUT_S = 30
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; "
    "img-src data:; connect-src 'self'; frame-src http://127.0.0.1:*; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class LiveServer(http.server.ThreadingHTTPServer):
    """Serves a site on the loopback interface.

    Args:
        site: what is shown.
        port: 0 takes a free one; see `url`.

    Raises:
        UserError: the port is taken.
    """

    daemon_threads = True

    def __init__(self, site: Site, port: int) -> None:
        self.site = site
        try:
            super().__init__((_HOST, port), _Handler)
        except (OSError, OverflowError) as error:
            raise UserError(f"port {port} must be free: {error}; choose another with --port") from error

    @property
    def url(self) -> str:
        return f"http://{_HOST}:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """A browser that went away is no event."""
        logger.debug("connection of %s broke", client_address, exc_info=True)


class _Handler(http.server.BaseHTTPRequestHandler):
    server_version, sys_version = "unetpp", ""
    protocol_version = "HTTP/1.1"
    timeout = _TIMEOUT_S
    _refused: ClassVar[tuple[str, ...]] = ("HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

    def do_GET(self) -> None:
        assert isinstance(self.server, LiveServer)
        if not _is_own_name(self.headers.get("Host", "")):
            # A page of somebody else's whose name was pointed at this machine.
            self._send(Answer(403, "text/plain", b"open this page as http://127.0.0.1\n"))
            return
        self._send(self.server.site.answer(self.path))

    def __getattr__(self, name: str) -> Any:
        # The base class looks the method up by the request's verb.
        if name.removeprefix("do_") in self._refused:
            return self._refuse
        raise AttributeError(name)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        logger.debug(format, *args)

    def _refuse(self) -> None:
        self.close_connection = True
        self._send(Answer(405, "text/plain", b"only GET\n"), {"Allow": "GET", "Connection": "close"})

    def _send(self, answer: Answer, more: dict[str, str] | None = None) -> None:
        self.send_response(answer.status)
        for name, value in {**_HEADERS, **(more or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)


def _is_own_name(host: str) -> bool:
    try:
        return urlsplit(f"//{host}").hostname in _OWN_NAMES
    except ValueError:
        return False
