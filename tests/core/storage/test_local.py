import errno
import os
import pickle
import threading
from pathlib import Path

import pytest

from storage_promises import RANGES, check_range
from unetpp.core.errors import StorageError
from unetpp.core.storage import Storage, open_storage, preflight


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return open_storage(str(tmp_path / "root"))


def test_storage_round_trip_lists_reads_and_sizes(storage: Storage) -> None:
    storage.write("a/b c#[1].bin", b"12345")
    storage.write("top.txt", b"")
    assert storage.list() == ["a/b c#[1].bin", "top.txt"]
    assert storage.list("a/b") == ["a/b c#[1].bin"]
    assert storage.list("t") == ["top.txt"]
    assert storage.read("a/b c#[1].bin") == b"12345"
    assert [path for path in ("a", "top.txt", "b") if storage.exists(path)] == ["a", "top.txt"]
    assert storage.child("a").list() == ["b c#[1].bin"]


def test_storage_missing_file_raises_file_not_found_with_its_name(storage: Storage) -> None:
    assert storage.list() == []
    for call in (storage.read, storage.stamp):
        with pytest.raises(FileNotFoundError, match="nothing"):
            call("nothing.bin")
    storage.delete("nothing.bin")


@pytest.mark.parametrize(("start", "stop", "expected"), RANGES)
def test_storage_range_ends_where_the_file_ends(
    storage: Storage, start: int, stop: int, expected: bytes
) -> None:
    check_range(storage, start, stop, expected)


def test_storage_relative_folder_is_fixed_when_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    storage = pickle.loads(pickle.dumps(open_storage("data/set")))
    monkeypatch.chdir("/")
    storage.write("x", b"1")
    assert (tmp_path / "data/set/x").read_bytes() == b"1"
    assert open_storage(f"file://{tmp_path}/data/set").list() == ["x"]
    assert storage.local_path("x") == tmp_path / "data/set/x"


def test_storage_failed_write_keeps_the_old_content_and_leaves_nothing_behind(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.write("x", b"old")

    def full_disk(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(StorageError, match="no space left; free some"):
        storage.write("x", b"new")
    assert storage.read("x") == b"old"
    assert os.listdir(storage.local_path()) == ["x"]


def test_storage_many_writers_of_one_name_exactly_one_wins(storage: Storage) -> None:
    assert storage.supports_conditional_write()
    barrier, won = threading.Barrier(8), []

    def write(number: int) -> None:
        barrier.wait()
        if storage.write_if_absent("manifest", b"%d" % number):
            won.append(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert storage.read("manifest") == b"%d" % won[0]
    assert storage.list() == ["manifest"]


def test_storage_without_hard_links_still_creates_exclusively(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(source: str, target: str) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", no_links)
    assert storage.write_if_absent("x", b"1")
    assert not storage.write_if_absent("x", b"2")
    assert storage.read("x") == b"1"


def test_storage_delete_folder_takes_all_below_and_no_neighbour(storage: Storage) -> None:
    for path in ("step-1/a", "step-1/b/c", "step-10/a"):
        storage.write(path, b"")
    storage.delete("step-1")
    assert storage.list() == ["step-10/a"]


def test_storage_put_and_get_copy_files(storage: Storage, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"abc")
    storage.put(tmp_path / "in", "deep/out")
    storage.get("deep/out", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b"abc"


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x"])
def test_storage_path_outside_the_root_is_refused(storage: Storage, path: str) -> None:
    with pytest.raises(StorageError, match="must stay below"):
        storage.read(path)


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("", "must not be empty"),
        ("s3://", "names no bucket"),
        ("s3://KEYID:topsecret@bucket/x", "must not hold credentials"),
    ],
)
def test_open_storage_bad_uri_is_refused_without_showing_secrets(uri: str, said: str) -> None:
    with pytest.raises(StorageError, match=said) as caught:
        open_storage(uri)
    assert "topsecret" not in str(caught.value)


def test_storage_unknown_scheme_is_named() -> None:
    with pytest.raises(StorageError, match="foo://"):
        open_storage("foo://bucket/x").read("y")


def test_preflight_local_folder_missing_fails_for_reading_only(tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path / "not/yet"))
    preflight(storage, write=True)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(StorageError, match="does not exist"):
        preflight(storage, write=False)


def test_preflight_file_in_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="a file stands where a folder is needed"):
        preflight(open_storage(str(tmp_path / "file")), write=True)
