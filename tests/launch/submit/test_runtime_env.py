"""The environment of jobs: the submitted code first, no secret, large uploads staged."""

import pytest

from unetpp.core.errors import UserError
from unetpp.core.storage import open_storage
from unetpp.launch.submit import runtime_env
from unetpp.launch.submit.runtime_env import build_runtime_env
from unetpp.launch.submit.upload import Upload


@pytest.fixture
def upload(tmp_path) -> Upload:
    (tmp_path / "large.bin").write_bytes(bytes(range(256)) * 64)
    return Upload({"large.bin": tmp_path / "large.bin"}, {})


@pytest.fixture
def low_limit(monkeypatch):
    monkeypatch.setattr(runtime_env, "UPLOAD_LIMIT_BYTES", 100)


def test_runtime_env_puts_the_upload_first_on_the_import_path(upload, tmp_path):
    environment = build_runtime_env(upload, tmp_path, variables={"MY_FLAG": "1"})
    assert environment["env_vars"]["PYTHONPATH"] == "distributed"
    assert environment["env_vars"]["MY_FLAG"] == "1"
    assert environment["working_dir"].endswith(".zip")


def test_runtime_env_takes_nothing_from_the_clients_environment(upload, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "canary")
    assert "canary" not in str(build_runtime_env(upload, tmp_path, variables={}))


@pytest.mark.parametrize("name", ["AWS_SECRET_ACCESS_KEY", "PGPASSWORD", "RAY_AUTH_TOKEN", "WANDB_API_KEY"])
def test_runtime_env_refuses_a_variable_named_like_a_secret(upload, tmp_path, name):
    with pytest.raises(UserError, match=f"--env {name}"):
        build_runtime_env(upload, tmp_path, variables={name: "x"})


def test_runtime_env_too_large_upload_names_what_is_large(upload, tmp_path, low_limit):
    with pytest.raises(UserError, match=r"large\.bin 0\.0 MiB.*--staging"):
        build_runtime_env(upload, tmp_path, variables={})


def test_runtime_env_too_large_upload_is_staged_once(upload, tmp_path, low_limit):
    staging = open_storage(tmp_path / "shared")
    first = build_runtime_env(upload, tmp_path, variables={}, staging=staging)["working_dir"]
    second = build_runtime_env(upload, tmp_path, variables={}, staging=staging)["working_dir"]
    assert first == second
    assert first == f"file://{staging.local_path(staging.list()[0])}"
    assert len(staging.list()) == 1


@pytest.mark.s3
def test_runtime_env_staged_in_a_bucket_is_named_by_its_uri(upload, tmp_path, low_limit, s3_env):
    staging = open_storage(f"{s3_env.new_bucket()}/code")
    working_dir = build_runtime_env(upload, tmp_path, variables={}, staging=staging)["working_dir"]
    assert working_dir == f"{staging.uri}/{staging.list()[0]}"
