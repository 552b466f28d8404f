"""Whom a client talks to before it submits: reachable, closed to others, of the same versions."""

import platform
import socket
from contextlib import closing
from importlib import metadata

import pytest

from unetpp.core.errors import UserError
from unetpp.launch import dashboard_api as head_module
from unetpp.launch.dashboard_api import check_versions, describe_head, head_url, is_loopback

TOKEN = "0123456789abcdef" * 4


def other_name(url: str) -> str:
    """An address of the same server that does not look like this machine's own."""
    return url.replace("127.0.0.1", "0.0.0.0")


def test_head_describes_itself_and_the_python_it_runs_with(fake_head):
    head = describe_head(fake_head.url, TOKEN)
    assert head.python == "/opt/python3"
    assert head.hostname == "head-0"
    check_versions(head)


def test_head_wrong_token_is_named(fake_head):
    with pytest.raises(UserError, match=r"refuses this token.*RAY_AUTH_TOKEN_PATH"):
        describe_head(fake_head.url, "another")


def test_head_unreachable_says_how_to_start_one():
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(UserError, match=r"no Ray head answers.*refused.*--address"):
        describe_head(f"http://127.0.0.1:{port}", TOKEN)


def test_head_that_is_no_ray_dashboard_is_told_apart(fake_head):
    with pytest.raises(UserError, match="HTTP 404"):
        describe_head(f"{fake_head.url}/elsewhere", TOKEN)


def test_head_that_answers_something_else_is_told_apart(fake_head):
    fake_head.is_ray = False
    with pytest.raises(UserError, match="answers otherwise"):
        describe_head(fake_head.url, TOKEN)


def test_head_that_has_just_started_is_asked_again(fake_head, monkeypatch):
    monkeypatch.setattr(head_module, "_POLL_S", 0.01)
    fake_head.reports_after = 3
    assert describe_head(fake_head.url, TOKEN).python == "/opt/python3"


def test_head_elsewhere_that_lets_everyone_in_is_refused(fake_head):
    fake_head.open_to_all = True
    with pytest.raises(UserError, match="must ask for a token"):
        describe_head(other_name(fake_head.url), TOKEN)


def test_head_elsewhere_that_asks_for_the_token_is_used(fake_head):
    assert describe_head(other_name(fake_head.url), TOKEN).hostname == "head-0"


def test_head_of_another_ray_version_is_refused(fake_head):
    fake_head.ray_version = "2.40.0"
    with pytest.raises(UserError, match=rf"same Ray.*2\.40\.0.*{metadata.version('ray')}"):
        check_versions(describe_head(fake_head.url, TOKEN))


def test_head_of_another_python_version_is_refused(fake_head):
    fake_head.python_version = "3.8.1"
    with pytest.raises(UserError, match=rf"same Python.*3\.8\.1.*{platform.python_version()}"):
        check_versions(describe_head(fake_head.url, TOKEN))


def test_head_of_another_patch_version_is_used(fake_head):
    major, minor, _ = platform.python_version_tuple()
    fake_head.python_version = f"{major}.{minor}.99"
    check_versions(describe_head(fake_head.url, TOKEN))


def test_address_takes_the_argument_then_the_environment_then_the_default(monkeypatch):
    monkeypatch.delenv("RAY_API_SERVER_ADDRESS", raising=False)
    assert head_url(None) == "http://127.0.0.1:8265"
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "https://ray.example.org/")
    assert head_url(None) == "https://ray.example.org"
    assert head_url("head:8265") == "http://head:8265"


@pytest.mark.parametrize("address", ["ray://head:10001", "http://", "ftp://x"])
def test_address_of_another_kind_is_refused(address):
    with pytest.raises(UserError, match="dashboard's URL"):
        head_url(address)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:1", True),
        ("http://localhost:1", True),
        ("http://[::1]:1", True),
        ("http://10.0.0.1", False),
    ],
)
def test_loopback_is_this_machine_only(url, expected):
    assert is_loopback(url) is expected
