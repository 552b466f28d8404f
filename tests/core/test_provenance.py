import sys

import pytest

from unetpp.core import provenance


def test_collect_describes_code_versions_and_command_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/bin/unetpp", "train", "out=runs/a", "token=abcdef123"])
    found = provenance.collect(config_hash="0123")
    assert found["command"] == "unetpp train out=runs/a token=[redacted]"
    assert found["config_hash"] == "0123"
    assert found["versions"]["torch"].startswith("2.")
    assert {"package", "python", "hostname", "git_sha", "git_dirty"} <= found.keys()


def test_collect_without_git_leaves_the_commit_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    found = provenance.collect()
    assert found["git_sha"] is None
    assert found["git_dirty"] is None
