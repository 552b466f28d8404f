"""How a model is served, and what is refused before anything starts."""

import ipaddress
from dataclasses import dataclass

from unetpp.core.errors import ConfigError

__all__ = ["TOKEN_VARIABLE", "ServeOptions"]

TOKEN_VARIABLE = "UNETPP_SERVE_TOKEN"
"""Environment variable with the token that requests must carry: on a command line others could read it."""


@dataclass(frozen=True)
class ServeOptions:
    """Address, size and limits of a server."""

    level: int | None = None
    """Head to use; None for the deepest."""
    host: str = "127.0.0.1"
    """Address to listen at; another than this machine's own needs a token."""
    port: int = 8000
    """Of TCP; 0 takes a free one."""
    replicas: int = 1
    """Processes that predict, each with the model."""
    max_batch: int = 8
    """Most images that are handed to a replica's model at once; small ones of one shape share passes."""
    batch_wait_ms: float = 5.0
    """Longest time that a request waits for others to join its batch."""
    max_queued: int = 128
    """Requests that may wait for a replica; more are answered with 503."""
    max_megapixels: float = 32.0
    """Largest image; larger ones are answered with 413."""
    max_body_mib: float = 64.0
    """Largest request; larger ones are answered with 413 before they are read to their end."""

    def check(self, *, has_token: bool) -> None:
        """Refuse what cannot work, or would open the model to everybody.

        Raises:
            ConfigError: a number outside its range, or a public address without a token.
        """
        for name, least in (("replicas", 1), ("max_batch", 1), ("max_queued", 1), ("batch_wait_ms", 0)):
            if getattr(self, name) < least:
                raise ConfigError(f"{_flag(name)} {getattr(self, name):g} must be at least {least}")
        for name in ("max_megapixels", "max_body_mib"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{_flag(name)} {getattr(self, name):g} must be above 0")
        if not 0 <= self.port <= 65535:
            raise ConfigError(f"--port {self.port} must be within 0..65535")
        if not has_token and not _is_loopback(self.host):
            raise ConfigError(
                f"--host {self.host} can be reached from other machines and needs a token: set "
                f"{TOKEN_VARIABLE}, or use --host 127.0.0.1"
            )


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
