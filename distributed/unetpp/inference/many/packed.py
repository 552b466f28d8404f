"""Rows of a packed dataset as images to predict."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from functools import partial

import numpy as np

from unetpp.core.errors import InputError
from unetpp.core.manifest import Manifest, ShardInfo
from unetpp.core.storage import Storage
from unetpp.data.dataset.manifests import load_manifest
from unetpp.data.dataset.parquet import read_shard
from unetpp.data.dataset.stored_masks import read_strings
from unetpp.data.images.header import Header, canonical_dtype
from unetpp.data.images.pixels import Pixels
from unetpp.data.sources.files import FileRef, source_storage
from unetpp.data.sources.raster import Space
from unetpp.data.stream.rows import ShardRows
from unetpp.inference.inputs import ImageSet, InputImage, PackedRow

__all__ = ["packed_images", "read_packed"]

_NAMED = ".png"
"""Ending of the names of rows, which as arrays of pixels are answered as pictures are."""
_HELD_SHARDS = 2


def packed_images(storage: Storage, split: str, trained: Manifest) -> ImageSet:
    """The rows of a split in storage order, named by their ids. Only the ids travel.

    Args:
        storage: of the dataset.
        split: of the rows.
        trained: the dataset of the model.

    Raises:
        InputError: volumes, or images that were prepared otherwise than the training's.
        CorruptionError: a shard is missing or is none.
    """
    manifest = load_manifest(storage)
    _require_prepared_alike(manifest, trained, storage.uri)
    images = []
    for shard in manifest.splits[split].shards:
        for row, name in enumerate(read_strings(storage, shard, "sample_id")):
            ref = FileRef(storage.uri, f"{name}{_NAMED}")
            images.append(InputImage(ref.path, (ref,), PackedRow(shard, row)))
    return ImageSet(storage, tuple(images), "**")


def read_packed(image: InputImage, row: PackedRow) -> tuple[Header, Space, Pixels]:
    """Shape, place and pixels of a row, from a shard that its neighbours are read from, too.

    Raises:
        CorruptionError: the shard is missing or damaged.
    """
    root = image.files[0].root
    rows = _shards.get((root, row.shard.sha256), partial(_open, root, row.shard))
    pixels = rows.image(row.row)
    height, width, channels = pixels.shape
    header = Header(height, width, channels, canonical_dtype(rows.dtype))
    return header, Space(), Pixels(np.array(pixels))


class _Shards:
    """The shards that were asked for last, each fetched once however many threads ask."""

    def __init__(self) -> None:
        self._held: OrderedDict[tuple[str, str], ShardRows] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[str, str], read: Callable[[], ShardRows]) -> ShardRows:
        with self._lock:
            if key not in self._held:
                self._held[key] = read()
                while len(self._held) > _HELD_SHARDS:
                    self._held.popitem(last=False)
            self._held.move_to_end(key)
            return self._held[key]


_shards = _Shards()


def _open(root: str, shard: ShardInfo) -> ShardRows:
    return ShardRows(read_shard(source_storage(root), shard), shard.name)


def _require_prepared_alike(manifest: Manifest, trained: Manifest, uri: str) -> None:
    if manifest.spatial_dims != 2:
        raise InputError(f"{uri} holds volumes, whose rows may be blocks of them; predict their files")
    for what, found, needed in (
        ("side of resized images", manifest.resized_px, trained.resized_px),
        ("direction of slices", manifest.slices, trained.slices),
        ("spacing in mm", manifest.spacing_mm, trained.spacing_mm),
        ("window of values", manifest.window, trained.window),
    ):
        if found != needed:
            raise InputError(
                f"{uri} was packed with the {what} {found}, the model was trained with {needed}; "
                "pack alike, or predict the files themselves"
            )
