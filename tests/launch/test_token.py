"""The token is private from its first byte and is never replaced."""

import stat

import pytest

from unetpp.core.errors import UserError
from unetpp.launch.token import ensure_token, require_token


def prepare(monkeypatch, path):
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(path))
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")


def test_ensure_token_none_yet_makes_one_only_the_owner_can_read(tmp_path, monkeypatch):
    path = tmp_path / "ray" / "auth_token"
    prepare(monkeypatch, path)
    ensure_token()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(path.read_text()) == 64


def test_ensure_token_existing_one_is_kept_and_closed_to_others(tmp_path, monkeypatch):
    path = tmp_path / "auth_token"
    path.write_text("mine")
    path.chmod(0o644)
    prepare(monkeypatch, path)
    ensure_token()
    assert path.read_text() == "mine"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_ensure_token_switches_authentication_on(tmp_path, monkeypatch):
    import os

    prepare(monkeypatch, tmp_path / "auth_token")
    ensure_token()
    assert os.environ["RAY_AUTH_MODE"] == "token"


def test_ensure_token_in_the_environment_writes_no_file(tmp_path, monkeypatch):
    path = tmp_path / "auth_token"
    prepare(monkeypatch, path)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)
    ensure_token()
    assert not path.exists()


def test_require_token_of_a_running_cluster_is_read_and_never_made(tmp_path, monkeypatch):
    path = tmp_path / "auth_token"
    prepare(monkeypatch, path)
    with pytest.raises(UserError, match="a cluster's token is needed"):
        require_token()
    assert not path.exists()
    path.write_text("secret\n")
    path.chmod(0o644)
    assert require_token() == "secret"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_require_token_empty_file_is_named(tmp_path, monkeypatch):
    path = tmp_path / "auth_token"
    prepare(monkeypatch, path)
    path.touch()
    with pytest.raises(UserError, match="it is empty"):
        require_token()
