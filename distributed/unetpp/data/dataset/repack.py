"""Cut an existing dataset into shards of the usual size, without its source images."""

from collections.abc import Callable

from unetpp.core.errors import ExistsError
from unetpp.core.manifest import SCHEMA_VERSION, Manifest, ShardInfo, SplitInfo
from unetpp.core.places import require_free_of_others
from unetpp.core.provenance import command_line
from unetpp.core.storage import Storage
from unetpp.data.dataset.chunks import cut_by_bytes
from unetpp.data.dataset.contents import read_contents, write_contents
from unetpp.data.dataset.manifests import commit_manifest, list_versions, load_manifest
from unetpp.data.dataset.membership import read_membership, write_membership
from unetpp.data.dataset.parquet import encode_shard, iter_samples, shard_info
from unetpp.data.dataset.shard_size import target_bytes

__all__ = ["repack"]


def repack(
    source: Storage, target: Storage, on_shard: Callable[[int, int], None] = lambda *_: None
) -> Manifest:
    """Write the same rows in the same order as new shards, then commit; memory holds two shards.

    Rows, statistics and fingerprint stay as they are. `on_shard` is called with rows done and their number.

    Raises:
        InputError: there is no dataset at the source.
        ExistsError: there is one at the target, or another kind of result.
        CorruptionError: a shard of the source is missing or damaged.
    """
    manifest = load_manifest(source)
    if list_versions(target):
        raise ExistsError(f"{target.uri} holds a dataset already; name another --out")
    require_free_of_others(target, "packed dataset")
    total, done = sum(split.rows for split in manifest.splits.values()), 0
    splits: dict[str, SplitInfo] = {}
    for name, split in manifest.splits.items():
        shards: list[ShardInfo] = []
        wanted_bytes = target_bytes(sum(shard.decoded_bytes for shard in split.shards))
        rows = iter_samples(source, manifest, name)
        for samples in cut_by_bytes(rows, lambda sample: sample.decoded_bytes, wanted_bytes):
            data = encode_shard(samples)
            shards.append(shard_info(name, len(shards), samples, data))
            target.write(shards[-1].name, data)
            done += len(samples)
            on_shard(done, total)
        splits[name] = SplitInfo(rows=split.rows, shards=tuple(shards))
    if (contents := read_contents(source, manifest)) is not None:
        write_contents(target, manifest.fingerprint, contents)
    write_membership(target, manifest.fingerprint, read_membership(source, manifest))
    changed = {
        "schema_version": SCHEMA_VERSION,
        "version": "00001",
        "splits": splits,
        "command": command_line(),
    }
    repacked = manifest.model_copy(update=changed)
    commit_manifest(target, repacked)
    return repacked
