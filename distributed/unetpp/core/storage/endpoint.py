"""The S3 endpoint that the environment names."""

from collections.abc import Mapping

from unetpp.core.errors import StorageError
from unetpp.core.logs import redact

__all__ = ["check_endpoint"]


def check_endpoint(environment: Mapping[str, str]) -> None:
    """Refuse an endpoint that no client can use.

    Raises:
        StorageError: the variable that names the endpoint holds no URL.
    """
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        value = environment.get(name, "")
        if value and not value.lower().startswith(("http://", "https://")):
            shown = redact(value)
            raise StorageError(
                f"{name}={shown} must start with http:// or https://; set {name}=https://{_host(shown)}, "
                "or http:// for a server without TLS"
            )


def _host(endpoint: str) -> str:
    return endpoint.rpartition("://")[2].lstrip("/")
