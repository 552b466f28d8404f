import json
import sys

import pytest

from unetpp.core import provenance
from unetpp.core.provenance import SUBMISSION, source_version


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


def test_source_version_of_submitted_code_is_where_it_was_submitted_from(tmp_path):
    package = tmp_path / "distributed" / "unetpp"
    package.mkdir(parents=True)
    (tmp_path / SUBMISSION).write_text(json.dumps({"git_sha": "1f" * 20, "git_dirty": True}))
    assert source_version(package) == {"git_sha": "1f" * 20, "git_dirty": True}


def test_source_version_without_git_is_unknown(tmp_path):
    assert source_version(tmp_path) == {"git_sha": None, "git_dirty": None}
