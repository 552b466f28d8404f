"""Ports of this machine that nobody listens on."""

import socket
from collections.abc import Collection
from contextlib import closing

from unetpp.core.errors import UserError

__all__ = ["find_port", "is_open", "require_port"]

_TRIED = 200
_CONNECT_TIMEOUT_S = 0.5


def find_port(preferred: int, taken: Collection[int] = ()) -> int:
    """The first free port from `preferred` upwards that is not in `taken`.

    Raises:
        UserError: none of the next 200 is free.
    """
    for port in range(preferred, min(preferred + _TRIED, 2**16)):
        if port not in taken and _is_free(port):
            return port
    raise UserError(f"a port from {preferred} to {preferred + _TRIED - 1} must be free; all are taken")


def require_port(port: int) -> int:
    """Return the port.

    Raises:
        UserError: someone listens on it.
    """
    if not _is_free(port):
        raise UserError(f"port {port} must be free and is taken; choose another or leave the option out")
    return port


def is_open(port: int) -> bool:
    """Whether someone answers on the loopback interface."""
    try:
        socket.create_connection(("127.0.0.1", port), _CONNECT_TIMEOUT_S).close()
    except OSError:
        return False
    return True


def _is_free(port: int) -> bool:
    # On all interfaces: Ray's own servers listen on every one of them.
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True
