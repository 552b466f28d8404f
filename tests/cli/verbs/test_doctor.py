import json
from pathlib import Path

import pytest

from unetpp.cli import doctor_checks as checks
from unetpp.cli.main import run
from unetpp.config import Node

SMALL = Node(cpus=1, memory_bytes=2**30)


def test_check_version_missing_old_and_current() -> None:
    assert checks.check_version("no-such-library", ()).status == "fail"
    old = checks.check_version("numpy", (999, 1))
    assert (old.status, old.fix) == ("fail", "pip install 'numpy>=999.1'")
    assert checks.check_version("numpy", (1, 26)).status == "ok"


def test_check_import_that_fails_is_reported() -> None:
    found = checks.check_import("no_such_module")
    assert found.status == "fail"
    assert "ModuleNotFoundError" in found.detail


def test_check_small_machine_warns_with_a_fix() -> None:
    for check in (checks.check_cpus(SMALL), checks.check_memory(SMALL)):
        assert check.status == "warn"
        assert "scale.workers=1" in check.fix


def test_check_free_little_space_and_missing_folder_warn(tmp_path: Path) -> None:
    assert checks.check_free("disk", tmp_path, 1, "fix").status == "ok"
    assert checks.check_free("disk", tmp_path, 2**80, "fix").status == "warn"
    assert checks.check_free("disk", tmp_path / "absent", 1, "fix").status == "warn"


def test_check_s3_names_the_source_and_never_the_value(tmp_path: Path) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "keyvalue", "AWS_SECRET_ACCESS_KEY": "secretvalue"}
    found = checks.check_s3(keys, tmp_path)
    assert found.status == "ok"
    assert "AWS_ACCESS_KEY_ID" in found.detail
    assert not any(value in f"{found}" for value in keys.values())
    assert checks.check_s3({}, tmp_path).status == "warn"
    assert checks.check_s3({"AWS_ACCESS_KEY_ID": "keyvalue"}, tmp_path).status == "fail"
    endpoint = checks.check_s3({**keys, "AWS_ENDPOINT_URL": "127.0.0.1:9000"}, tmp_path)
    assert (endpoint.status, "AWS_ENDPOINT_URL=https://127.0.0.1:9000" in endpoint.fix) == ("fail", True)
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/credentials").write_text("[default]\n")
    assert checks.check_s3({}, tmp_path).status == "ok"


@pytest.mark.parametrize(("mode", "status"), [(0o600, "ok"), (0o400, "ok"), (0o640, "fail"), (0o604, "fail")])
def test_check_token_readable_by_others_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, status: str
) -> None:
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    token = tmp_path / "auth_token"
    assert checks.check_token(token).status == "ok"
    token.write_text("t")
    token.chmod(mode)
    found = checks.check_token(token)
    assert found.status == status
    assert found.fix == ("" if status == "ok" else f"chmod 600 {token}")


@pytest.mark.parametrize(("status", "code"), [("ok", 0), ("warn", 0), ("fail", 1)])
def test_doctor_json_reports_every_check_and_fails_only_on_failures(
    status: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = checks.Check("disk", status, "3 GiB", "free some")  # type: ignore[arg-type]
    monkeypatch.setattr(checks, "run_checks", lambda: [made])
    assert run(["doctor", "--json"]) == code
    printed = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert printed["ok"] is (code == 0)
    assert printed["checks"] == [{"name": "disk", "status": status, "detail": "3 GiB", "fix": "free some"}]
