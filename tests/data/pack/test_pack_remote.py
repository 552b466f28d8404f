"""Packing on Ray and into an S3 bucket gives what packing here gives."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from unetpp.core.errors import ExistsError, StorageError
from unetpp.core.storage import Storage
from unetpp.data.dataset.manifests import list_versions
from unetpp.data.dataset.verify import verify
from unetpp.data.pack.discover import SourceFolder
from unetpp.data.pack.options import PackOptions
from unetpp.data.pack.pack import pack


def shards(storage: Storage) -> dict[str, bytes]:
    return {name: storage.read(name) for name in storage.list("shards/")}


@pytest.mark.ray
@pytest.mark.usefixtures("ray_cluster")
def test_pack_on_ray_gives_the_same_bytes_and_errors_as_here(tmp_path, cells):
    from unetpp.data.pack.ray_runner import RayRunner

    options = PackOptions(tile_px=16)
    here = pack([cells], str(tmp_path / "here"), options)
    there = pack([cells], str(tmp_path / "ray"), options, run=RayRunner(2))
    assert shards(Storage(str(tmp_path / "here"))) == shards(Storage(str(tmp_path / "ray")))
    assert here.manifest == there.manifest
    with pytest.raises(ExistsError, match="as it was raised"):
        list(RayRunner(1)(_fail, [1]))


def _fail(item: int) -> None:
    raise ExistsError("as it was raised")


@pytest.mark.ray
@pytest.mark.usefixtures("ray_cluster")
def test_pack_on_ray_whose_source_fails_commits_nothing_and_goes_on_later(tmp_path, cells):
    from unetpp.data.pack.ray_runner import RayRunner

    out = str(tmp_path / "out")
    with pytest.raises(StorageError, match="the credential was refused"):
        pack([cells], out, PackOptions(), run=lambda f, items: RayRunner(2)(partial(_expires, f), items))
    assert list_versions(Storage(out)) == []
    assert pack([cells], out, PackOptions(), run=RayRunner(2)).rejections == ()


def _expires(function: Callable[[Any], Any], item: Any) -> Any:
    if getattr(item, "sample_id", "").endswith("7"):
        raise StorageError("cannot use s3://b/7.png: the credential was refused (ExpiredToken)")
    return function(item)


@pytest.mark.s3
def test_pack_from_and_to_a_bucket_gives_the_same_shards(tmp_path, cells, s3_server, s3_env):
    bucket = s3_server.new_bucket()
    source = Storage(bucket)
    for name, path in (("images", cells.images), ("masks", cells.masks)):
        for file in Path(path).iterdir():
            source.write(f"raw/{name}/{file.name}", file.read_bytes())
    remote = SourceFolder(f"{bucket}/raw/images", f"{bucket}/raw/masks")
    there = pack([remote], f"{bucket}/packed", PackOptions())
    here = pack([cells], str(tmp_path / "here"), PackOptions())
    packed = Storage(f"{bucket}/packed")
    assert shards(packed) == shards(Storage(str(tmp_path / "here")))
    assert there.manifest == here.manifest
    assert verify(packed).ok
    with pytest.raises(ExistsError):
        pack([remote], f"{bucket}/packed", PackOptions())


@pytest.mark.s3
def test_pack_beside_another_unfinished_one_needs_conditional_writes(cells, s3_env):
    """rclone's server ignores `If-None-Match`, so it could not decide between two packers."""
    bucket = Storage(s3_env.new_bucket())
    bucket.write("packing-0123456789abcdef.jsonl", b"")
    with pytest.raises(ExistsError, match=r"packing-0123456789abcdef\.jsonl belongs to another"):
        pack([cells], bucket.uri, PackOptions())
    assert not bucket.exists("manifest.json")
