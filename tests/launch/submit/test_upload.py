"""What travels with a job: the code, never by-products or secrets, and the same bytes for the same files."""

import json
import subprocess
import zipfile
from pathlib import Path

import pytest

import unetpp
from unetpp.core.errors import InputError
from unetpp.core.provenance import SUBMISSION
from unetpp.launch.submit.upload import checkout_root, collect_upload, write_zip

PACKAGE = "distributed/unetpp/__init__.py"


def write(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def test_upload_of_a_folder_without_the_package_gets_the_running_one(tmp_path):
    files = collect_upload(write(tmp_path, "space.py"), {}).files
    assert files["space.py"] == tmp_path / "space.py"
    assert files[PACKAGE].samefile(unetpp.__file__)


def test_upload_of_a_folder_with_a_package_takes_that_one(tmp_path):
    write(tmp_path, PACKAGE, "distributed/unetpp/new.py")
    files = collect_upload(tmp_path, {}).files
    assert files[PACKAGE] == tmp_path / PACKAGE
    assert sorted(files) == [PACKAGE, "distributed/unetpp/new.py"]


def test_upload_of_an_installed_wheel_is_its_package(tmp_path, monkeypatch):
    installed = write(tmp_path / "site-packages", "unetpp/__init__.py", "unetpp/cli/main.py", "other/x.py")
    monkeypatch.setattr(unetpp, "__file__", str(installed / "unetpp" / "__init__.py"))
    assert checkout_root() is None
    assert sorted(collect_upload(None, {}).files) == [PACKAGE, "distributed/unetpp/cli/main.py"]


def test_upload_by_default_is_the_checkout_without_its_tests():
    files = collect_upload(None, {}).files
    assert checkout_root() is not None
    assert "search_spaces/full.py" in files
    assert not [name for name in files if name.startswith(("tests/", ".venv/", ".git"))]


@pytest.mark.parametrize(
    "name",
    [
        ".env", "prod.env", "auth_token", "credentials", "credentials.json", "key.pem", "id_rsa",
        ".aws/credentials", ".git/config", "a/.netrc", ".venv/x.py", "a/__pycache__/x.pyc",
        "runs/r/metrics.jsonl",
    ],
)  # fmt: skip
@pytest.mark.parametrize("with_git", [False, True])
def test_upload_leaves_secrets_and_by_products_out(tmp_path, name, with_git):
    write(tmp_path, "kept.py", *([] if with_git and name.startswith(".git") else [name]))
    if with_git:
        subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    files = collect_upload(tmp_path, {}).files
    assert "kept.py" in files
    assert name not in files


def test_upload_of_a_work_tree_leaves_out_what_git_ignores(tmp_path):
    write(tmp_path, "kept.py", "data/large.bin")
    (tmp_path / ".gitignore").write_text("data/\n")
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    files = collect_upload(tmp_path, {}).files
    assert "kept.py" in files
    assert "data/large.bin" not in files


def test_upload_follows_no_link_out_of_the_folder(tmp_path):
    secret = write(tmp_path / "outside", "secret.txt") / "secret.txt"
    folder = write(tmp_path / "inside", "kept.py")
    (folder / "link.txt").symlink_to(secret)
    assert "link.txt" not in collect_upload(folder, {}).files


def test_upload_of_a_missing_folder_says_so(tmp_path):
    with pytest.raises(InputError, match="must be a folder"):
        collect_upload(tmp_path / "none", {})


def test_zip_of_the_same_files_has_the_same_bytes_and_says_where_they_come_from(tmp_path):
    folder = write(tmp_path / "code", "a.py", PACKAGE)
    extra = write(tmp_path, "config.yaml") / "config.yaml"
    upload = collect_upload(folder, {"inputs/0/config.yaml": extra})
    first, second = tmp_path / "1.zip", tmp_path / "2.zip"
    write_zip(upload, first)
    extra.touch()
    write_zip(collect_upload(folder, {"inputs/0/config.yaml": extra}), second)
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as archive:
        assert archive.read("inputs/0/config.yaml") == b"config.yaml"
        assert json.loads(archive.read(SUBMISSION)).keys() == {"git_sha", "git_dirty"}


def test_summary_names_the_largest_entries_first(tmp_path):
    write(tmp_path, PACKAGE, "small.txt")
    (tmp_path / "big").mkdir()
    (tmp_path / "big" / "x.bin").write_bytes(b"0" * 2**21)
    assert collect_upload(tmp_path, {}).summary().startswith("big/ 2.0 MiB")
