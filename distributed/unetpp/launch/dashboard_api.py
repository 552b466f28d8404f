"""The API of Ray's dashboard, over HTTP: whether it answers, whom it lets in, which versions it runs."""

import json
import os
import platform
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from importlib import metadata
from typing import Any
from urllib.parse import urlsplit

from unetpp.core.errors import UserError

__all__ = [
    "DEFAULT_ADDRESS",
    "NODES",
    "HeadInfo",
    "check_versions",
    "describe_head",
    "get_json",
    "head_url",
    "is_loopback",
]

DEFAULT_ADDRESS = "http://127.0.0.1:8265"
NODES = "/nodes?view=summary"
_TIMEOUT_S = 10.0
_REPORT_S = 15.0
_POLL_S = 0.5
_LOOPBACK = ("127.", "localhost", "[::1]", "::1")
_WORKER_COMMAND = "--python_worker_command="


@dataclass(frozen=True)
class HeadInfo:
    """What a client must know before it submits."""

    url: str
    ray_version: str
    python_version: str
    python: str
    """The interpreter that Ray runs with on the head node; `python` in a job's command may be another."""
    hostname: str


def head_url(address: str | None) -> str:
    """The dashboard's URL: as given, from RAY_API_SERVER_ADDRESS, or the default port of this machine.

    Raises:
        UserError: it is no http(s) address.
    """
    url = address or os.environ.get("RAY_API_SERVER_ADDRESS") or DEFAULT_ADDRESS
    if "://" not in url:
        url = f"http://{url}"
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UserError(f"--address {address} must be the dashboard's URL; write http://HOST:8265")
    return url.rstrip("/")


def is_loopback(url: str) -> bool:
    """Whether the URL reaches this machine only, perhaps through a tunnel."""
    return (urlsplit(url).hostname or "").startswith(_LOOPBACK)


def describe_head(url: str, token: str) -> HeadInfo:
    """Ask the head who it is.

    Raises:
        UserError: it cannot be reached, refuses the token, or lets everyone in though others can reach it.
    """
    if not is_loopback(url):
        _refuse_open_head(url)
    try:
        version = get_json(url, "/api/version", token)
        cluster = get_json(url, "/api/v0/cluster_metadata", token)["data"]
        head = _head_node(url, token)
        return HeadInfo(
            url=url,
            ray_version=version["ray_version"],
            python_version=cluster["pythonVersion"],
            python=_python(head.get("cmdline") or []),
            hostname=head.get("hostname", ""),
        )
    except (KeyError, TypeError) as error:
        raise UserError(
            f"{url} must be the dashboard of a Ray head; it answers otherwise; check --address"
        ) from error


def check_versions(head: HeadInfo) -> None:
    """Refuse a cluster whose Ray or Python has another minor version than this client.

    Raises:
        UserError: they differ.
    """
    for name, theirs, ours in (
        ("Ray", head.ray_version, metadata.version("ray")),
        ("Python", head.python_version, platform.python_version()),
    ):
        if theirs and theirs.split(".")[:2] != ours.split(".")[:2]:
            raise UserError(
                f"client and cluster must run the same {name}; {head.url} runs {theirs}, this client {ours}; "
                f"use a client with {name} {theirs}, or an image with {ours}"
            )


def _refuse_open_head(url: str) -> None:
    """A remote head that answers without a token lets everyone who reaches it run code."""
    try:
        get_json(url, "/api/version", token=None)
    except _RefusedError:
        return
    raise UserError(
        f"{url} must ask for a token; it answers without one, so whoever reaches it can run code there; "
        "start its nodes with RAY_AUTH_MODE=token"
    )


class _RefusedError(UserError):
    """The head wants another token."""


def get_json(url: str, path: str, token: str | None, *, timeout_s: float = _TIMEOUT_S) -> Any:
    """What a head answers to a GET with the token.

    Raises:
        UserError: it does not answer, refuses the token, or is no head of Ray.
    """
    request = urllib.request.Request(url + path)
    if token is not None:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        if error.code in (401, 403):
            raise _RefusedError(
                f"{url} refuses this token (HTTP {error.code}); copy the head node's token "
                "and set RAY_AUTH_TOKEN_PATH to the copy"
            ) from error
        raise UserError(
            f"{url} must be the dashboard of a Ray head; it answers {path} with HTTP {error.code}; "
            "check --address"
        ) from error
    except (OSError, ValueError) as error:
        raise _unreachable(url, error) from error


def _unreachable(url: str, error: Exception) -> UserError:
    reason = getattr(error, "reason", error)
    return UserError(
        f"no Ray head answers at {url}: {reason}; start one (`unetpp cluster up`), open a tunnel to it, "
        "or correct --address"
    )


def _head_node(url: str, token: str) -> dict[str, Any]:
    """What the head node last reported; a head that has just started reports after some seconds."""
    deadline_s = time.monotonic() + _REPORT_S
    while True:
        nodes: list[dict[str, Any]] = get_json(url, NODES, token)["data"]["summary"]
        head = next((node for node in nodes if node.get("raylet", {}).get("isHeadNode")), {})
        if head.get("cmdline") or time.monotonic() > deadline_s:
            return head
        time.sleep(_POLL_S)


def _python(command: list[str]) -> str:
    """From the raylet's command line, which names the interpreter of its workers."""
    for argument in command:
        if argument.startswith(_WORKER_COMMAND):
            return argument.removeprefix(_WORKER_COMMAND).split(" ", 1)[0]
    return "python"
