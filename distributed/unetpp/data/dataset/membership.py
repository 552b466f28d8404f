"""Which split each source image is in, kept beside the shards, so that the next version leaves it there.

    membership-<fingerprint[:16]>.json    {"train": ["sample id", ...], ...}

It also lists images of earlier versions that are gone, in case they come back.
"""

import json
import re
from collections.abc import Mapping

from unetpp.core.errors import CorruptionError
from unetpp.core.manifest import Manifest
from unetpp.core.storage import Storage
from unetpp.data.dataset.parquet import read_shard

__all__ = ["Membership", "read_membership", "write_membership"]

Membership = Mapping[str, str]
"""The split of each source image, by its sample id without slice and tile."""

_PART = re.compile(r"(#\d{4,})?(@\d+(x\d+)+)?$")
"""What packing appends to the id of a slice, a tile or a block."""


def write_membership(storage: Storage, fingerprint: str, membership: Membership) -> None:
    """Keep where the images of a version that is about to be committed are."""
    by_split: dict[str, list[str]] = {}
    for sample_id, split in membership.items():
        by_split.setdefault(split, []).append(sample_id)
    storage.write(_name(fingerprint), json.dumps(by_split, indent=0).encode())


def read_membership(storage: Storage, manifest: Manifest) -> dict[str, str]:
    """Where the images of a version are; read from all its shards where an earlier release packed it.

    Raises:
        CorruptionError: the file or a shard is damaged.
    """
    name = _name(manifest.fingerprint)
    try:
        by_split: dict[str, list[str]] = json.loads(storage.read(name))
    except FileNotFoundError:
        return _from_shards(storage, manifest)
    except ValueError as error:
        raise CorruptionError(f"{name} at {storage.uri} is damaged: {error}; delete it") from error
    return {sample_id: split for split, ids in by_split.items() for sample_id in ids}


def _from_shards(storage: Storage, manifest: Manifest) -> dict[str, str]:
    return {
        _PART.sub("", row): split
        for split, info in manifest.splits.items()
        for shard in info.shards
        for row in read_shard(storage, shard).column("sample_id").to_pylist()
    }


def _name(fingerprint: str) -> str:
    return f"membership-{fingerprint[:16]}.json"
