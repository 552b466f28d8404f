"""A shard from S3 through every fault: right bytes, or a typed error naming shard, attempts and fix."""

import socket

import pytest

from fakes import write_dataset
from faulty_proxy import ALWAYS, FaultyProxy
from unetpp.core.errors import CorruptionError, StorageError
from unetpp.core.manifest import Manifest, ShardInfo
from unetpp.core.storage import Storage
from unetpp.data.dataset import fetch, quarantine
from unetpp.data.dataset.fetch import fetch_shard
from unetpp.data.dataset.parquet import parse_shard
from unetpp.data.dataset.quarantine import Quarantine

pytestmark = pytest.mark.s3

PATIENT_S = 20.0
"""Never reached: each fault here passes long before."""
HASTY_S = 0.5


@pytest.fixture(scope="module")
def bucket(s3_server) -> tuple[str, Manifest]:
    """(URI, manifest) of a dataset in a bucket."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in s3_server.env.items():
            environment.setenv(name, value)
        uri = f"{s3_server.new_bucket()}/data"
        return uri, write_dataset(uri, {"train": 25})


@pytest.fixture
def shard(bucket) -> ShardInfo:
    return bucket[1].splits["train"].shards[0]


@pytest.mark.parametrize("fault", ["503", "truncate", "flip"])
def test_fault_that_passes_gives_the_right_bytes(bucket, shard, proxy: FaultyProxy, fault):
    proxy.fail(fault, times=2)
    data = fetch_shard(Storage(bucket[0], deadline_s=PATIENT_S), shard)
    assert parse_shard(data, shard).num_rows == shard.rows
    assert len(proxy.gets) == 3


def test_body_that_stalls_is_asked_for_again(bucket, shard, proxy: FaultyProxy):
    proxy.fail("stall", times=1)
    data = fetch_shard(Storage(bucket[0], deadline_s=6.0), shard)
    assert parse_shard(data, shard).num_rows == shard.rows


@pytest.mark.parametrize("fault", ["503", "truncate", "stall"])
def test_fault_beyond_the_deadline_names_shard_attempts_and_fix(bucket, shard, proxy, fault):
    proxy.fail(fault, times=ALWAYS)
    with pytest.raises(
        StorageError, match=rf"{shard.name} \(attempt \d+, deadline 0.5 s\).*(try again|check the)"
    ):
        fetch_shard(Storage(bucket[0], deadline_s=HASTY_S), shard)


def test_connection_refused_beyond_the_deadline_names_shard_attempts_and_fix(
    bucket, shard, s3_env, monkeypatch
):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    with pytest.raises(
        StorageError, match=rf"{shard.name} \(attempt \d+, deadline 0.5 s\).*AWS_ENDPOINT_URL"
    ):
        fetch_shard(Storage(bucket[0], deadline_s=HASTY_S), shard)


def test_byte_flipped_in_every_transfer_is_corruption_and_kept_aside(bucket, shard, proxy, tmp_path):
    proxy.fail("flip")
    aside = Quarantine(tmp_path)
    with pytest.raises(CorruptionError, match=rf"{shard.name}.*3 fetches; restore"):
        fetch_shard(Storage(bucket[0]), shard, aside)
    assert len(proxy.gets) == 3
    assert [path.stat().st_size for path in tmp_path.iterdir()] == [shard.bytes]
    with pytest.raises(CorruptionError, match=rf"{shard.name}.*quarantine"):
        fetch_shard(Storage(bucket[0]), shard, aside)
    assert len(proxy.gets) == 3


def test_credential_that_expired_fails_at_once_and_says_so(bucket, shard, proxy: FaultyProxy):
    proxy.fail("expired")
    with pytest.raises(StorageError, match=rf"{shard.name}.*ExpiredToken.*AWS_SESSION_TOKEN"):
        fetch_shard(Storage(bucket[0], deadline_s=PATIENT_S), shard)
    assert len(proxy.gets) == 1


def test_large_shard_comes_in_parts(bucket, shard, proxy: FaultyProxy, monkeypatch):
    monkeypatch.setattr(fetch, "_PART_BYTES", 1000)
    proxy.fail("503", times=2)
    data = fetch_shard(Storage(bucket[0], deadline_s=PATIENT_S), shard)
    assert parse_shard(data, shard).num_rows == shard.rows
    assert len(proxy.gets) == -(-shard.bytes // 1000) + 2


@pytest.mark.parametrize("damage", ["flip", "cut", "empty"])
def test_object_damaged_in_the_bucket_is_corruption(s3_env, damage, monkeypatch):
    uri = f"{s3_env.new_bucket()}/data"
    shard = write_dataset(uri, {"train": 5}).splits["train"].shards[0]
    storage = Storage(uri)
    data = bytearray(storage.read(shard.name))
    if damage == "flip":
        data[100] ^= 1
    storage.write(shard.name, bytes(data[: {"flip": None, "cut": 1500, "empty": 0}[damage]]))
    monkeypatch.setattr(fetch, "_PART_BYTES", 1000)
    with pytest.raises(CorruptionError, match=rf"{shard.name}.*3 fetches"):
        fetch_shard(storage, shard)


def test_object_deleted_from_the_bucket_is_corruption_at_once(s3_env):
    uri = f"{s3_env.new_bucket()}/data"
    shard = write_dataset(uri, {"train": 5}).splits["train"].shards[0]
    Storage(uri).delete(shard.name)
    with pytest.raises(CorruptionError, match=rf"{shard.name} is missing.*restore"):
        fetch_shard(Storage(uri, deadline_s=PATIENT_S), shard)


def test_quarantine_keeps_the_newest_within_its_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(quarantine, "_LIMIT_BYTES", 250)
    aside = Quarantine(tmp_path)
    for index in range(4):
        name = f"shards/train-{index}.parquet"
        aside.keep(ShardInfo(name=name, sha256="0", bytes=1, rows=1, decoded_bytes=1), bytes(100))
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert kept == ["train-2.parquet", "train-3.parquet"]
