import json

import pytest

from unetpp.core.errors import CorruptionError, ExistsError, InputError
from unetpp.core.manifest import ClassInfo, Manifest, ShardInfo, SplitInfo
from unetpp.core.storage import Storage
from unetpp.data.dataset.manifests import commit_manifest, list_versions, load_manifest, next_version


def manifest_of(version: str) -> Manifest:
    shard = ShardInfo(name="shards/x", sha256="0", bytes=1, rows=1, decoded_bytes=1)
    return Manifest(
        version=version,
        task="binary",
        classes=(ClassInfo(name="cell", colour=(1, 2, 3)),),
        ignore_index=None,
        channels=1,
        dtype="uint8",
        splits={"train": SplitInfo(rows=1, shards=(shard,))},
        channel_stats=(),
        sizes={"4x4": 1},
        class_pixels=(3,),
        foreground_histogram=(1,) + (0,) * 9,
        command="",
        versions={},
        fingerprint=version,
    )


@pytest.fixture
def storage(tmp_path) -> Storage:
    return Storage(str(tmp_path))


def test_commit_then_load_gives_the_current_and_older_versions(storage):
    for version in ("00001", "00002"):
        assert next_version(storage) == version
        commit_manifest(storage, manifest_of(version))
    assert load_manifest(storage) == manifest_of("00002")
    assert load_manifest(storage, "00001") == manifest_of("00001")
    assert list_versions(storage) == ["00001", "00002"]


def test_commit_of_the_same_version_by_two_packers_fails_for_the_second(storage):
    commit_manifest(storage, manifest_of("00001"))
    other = manifest_of("00001").model_copy(update={"fingerprint": "other"})
    with pytest.raises(ExistsError, match="another packer"):
        commit_manifest(storage, other)
    assert load_manifest(storage).fingerprint == "00001"


def test_load_manifest_where_nothing_was_packed_says_so(storage):
    with pytest.raises(InputError, match="no packed dataset"):
        load_manifest(storage)


def test_load_manifest_of_an_unknown_version_lists_the_known(storage):
    commit_manifest(storage, manifest_of("00001"))
    with pytest.raises(InputError, match="versions found: 00001"):
        load_manifest(storage, "00007")


@pytest.mark.parametrize("pointer", [b"", b"[]", b'{"files": {}}'])
def test_load_manifest_with_a_foreign_pointer_says_so(storage, pointer):
    storage.write("manifest.json", pointer)
    with pytest.raises(InputError, match="does not name"):
        load_manifest(storage)


def test_load_manifest_of_a_newer_schema_asks_for_a_matching_release(storage):
    content = manifest_of("00001").model_dump() | {"schema_version": 99, "unheard": 1}
    storage.write("manifest.json", b'{"manifest": "manifest-00001.json"}')
    storage.write("manifest-00001.json", json.dumps(content).encode())
    with pytest.raises(InputError, match="schema_version=99"):
        load_manifest(storage)


@pytest.mark.parametrize("content", [b"{", b'{"schema_version": 1}'])
def test_load_manifest_damaged_raises_corruption(storage, content):
    storage.write("manifest.json", b'{"manifest": "manifest-00001.json"}')
    storage.write("manifest-00001.json", content)
    with pytest.raises(CorruptionError, match="damaged"):
        load_manifest(storage)
