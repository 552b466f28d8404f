"""A digest of every row's image, as its file held it, kept beside the shards of each version.

Names, formats, tiles and sizes may differ between two datasets; what an image shows is the same in both.

    contents-<fingerprint[:16]>.json    {"train": [digest of the image of row 0, ...], ...}, in storage order
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unetpp.core.errors import CorruptionError
from unetpp.core.manifest import Manifest
from unetpp.core.storage import Storage
from unetpp.data.dataset.parquet import iter_samples

__all__ = ["image_digest", "read_contents", "row_digests", "strips_digest", "write_contents"]

Contents = Mapping[str, Sequence[str]]
"""Digests of the rows of each split."""


def image_digest(image: NDArray[Any]) -> str:
    """Of pixels H W C with their shape and dtype: 32 hexadecimal digits."""
    return strips_digest(image.shape, image.dtype.name, [image])


def strips_digest(shape: tuple[int, ...], dtype: str, strips: Iterable[NDArray[Any]]) -> str:
    """`image_digest` of an image that comes in strips of whole rows, from the first to the last."""
    digest = hashlib.sha256(f"{shape} {dtype} ".encode())
    for strip in strips:
        digest.update(np.ascontiguousarray(strip).data)
    return digest.hexdigest()[:32]


def write_contents(storage: Storage, fingerprint: str, contents: Contents) -> None:
    """Keep the digests of a version that is about to be committed."""
    storage.write(_name(fingerprint), json.dumps(contents, indent=0).encode())


def read_contents(storage: Storage, manifest: Manifest) -> dict[str, list[str]] | None:
    """Digests of the rows of each split; None where an earlier release packed the version.

    Raises:
        CorruptionError: the file is damaged.
    """
    name = _name(manifest.fingerprint)
    try:
        contents: dict[str, list[str]] = json.loads(storage.read(name))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise CorruptionError(f"{name} at {storage.uri} is damaged: {error}; pack again") from error
    return contents


def row_digests(storage: Storage, manifest: Manifest, split: str) -> list[str]:
    """Digests of the rows as they were packed, resized or cut; reads the whole split.

    Raises:
        CorruptionError: see `read_shard`.
    """
    if split not in manifest.splits:
        return []
    return [image_digest(sample.image) for sample in iter_samples(storage, manifest, split)]


def _name(fingerprint: str) -> str:
    return f"contents-{fingerprint[:16]}.json"
