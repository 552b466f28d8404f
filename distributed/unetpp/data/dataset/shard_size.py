"""How large shards should be, and whether those of a dataset are."""

from unetpp.core.commands import shown_command
from unetpp.core.manifest import Manifest

__all__ = ["shard_advice", "target_bytes"]

_SHARD_BYTES = 64 * 2**20
_MIN_SHARD_BYTES = 2**20
_SHARDS_PER_SPLIT = 16
"""Small splits are cut finer than `_SHARD_BYTES`, so that packing and reading them has parallel work."""
_MANY = 1000
_SMALL_BYTES = 8 * 2**20
"""Below it, a request's latency takes longer than its bytes: 40 ms at 90 MB/s are 4 MB."""


def target_bytes(split_bytes: int) -> int:
    """Decoded bytes of each shard of a split with so many."""
    return min(_SHARD_BYTES, max(_MIN_SHARD_BYTES, -(-split_bytes // _SHARDS_PER_SPLIT)))


def shard_advice(manifest: Manifest, uri: str) -> str | None:
    """What to do about a dataset of very many, very small shards; None if it is well cut."""
    shards = [shard for split in manifest.splits.values() for shard in split.shards]
    mean_bytes = sum(shard.decoded_bytes for shard in shards) // max(len(shards), 1)
    if len(shards) < _MANY or mean_bytes >= _SMALL_BYTES:
        return None
    return (
        f"{uri} has {len(shards)} shards of {mean_bytes / 2**20:.2f} MiB, whose requests take longer than "
        f"their bytes; {shown_command('data', 'repack', uri, '--out', 'URI')} joins them"
    )
