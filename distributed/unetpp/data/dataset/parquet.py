"""Shards: rows to parquet bytes and back. The byte-level specification is in README.md here.

Shapes: H height, W width, C channels. Images are H W C little-endian, masks H W uint8; volumes have planes
in front of H.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from unetpp.core.errors import CorruptionError
from unetpp.core.manifest import Manifest, ShardInfo
from unetpp.core.storage import Storage
from unetpp.data.dataset.fetch import fetch_shard
from unetpp.data.dataset.pixel_coding import (
    COMPRESSION,
    COMPRESSION_LEVEL,
    RAW,
    choose_coding,
    decode_pixels,
    encode_pixels,
)
from unetpp.data.dataset.sample import Sample
from unetpp.data.sources.raster import Box, Space

__all__ = [
    "SCHEMA",
    "decode_image",
    "decode_mask",
    "encode_shard",
    "iter_row_groups",
    "iter_samples",
    "parse_shard",
    "read_shard",
    "samples_of",
    "samples_of_shard",
    "shard_info",
]

_ROW_GROUP_BYTES = 8 * 2**20

SCHEMA = pa.schema(
    [
        pa.field("sample_id", pa.string(), nullable=False),
        pa.field("group", pa.string(), nullable=False),
        pa.field("image", pa.binary(), nullable=False),
        pa.field("mask", pa.binary(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("channels", pa.int32(), nullable=False),
        pa.field("dtype", pa.string(), nullable=False),
        pa.field("label", pa.int32()),
        pa.field("source", pa.string(), nullable=False),
        pa.field("tile_top", pa.int32()),
        pa.field("tile_left", pa.int32()),
        pa.field("source_height", pa.int32(), nullable=False),
        pa.field("source_width", pa.int32(), nullable=False),
    ]
)
"""Columns of a shard; arrow primitives only."""
_SPACE = pa.field("space", pa.string())
"""Further column of shards in which a source file says where its pixels lie: JSON, see `Space.to_json`."""
_INSTANCES = pa.field("instances", pa.binary())
"""Further column of datasets of objects: ids as H W little-endian int32, 0 for no object."""
_VOLUME = (pa.field("depth", pa.int32(), nullable=False), pa.field("tile_front", pa.int32()))
"""Further columns of shards of volumes."""
_CODING = pa.field("coding", pa.string(), nullable=False)
"""Further column of shards since schema_version 2: how their images are coded, see pixel_coding.py."""
_COLUMNS = {field.name: field.type for field in SCHEMA}
_OPTIONAL = {field.name: field.type for field in (*_VOLUME, _SPACE, _INSTANCES, _CODING)}
_KNOWN = _COLUMNS | _OPTIONAL
_PIXELS = ("image", "mask", _INSTANCES.name)


def encode_shard(samples: Sequence[Sample]) -> bytes:
    """Parquet bytes of the samples; the same samples give the same bytes."""
    sink = pa.BufferOutputStream()
    schema = _schema_of(samples)
    coding = choose_coding(sample.image for sample in samples)
    # Raw pixels do not repeat as whole values, so dictionaries and statistics only cost time and space.
    with pq.ParquetWriter(
        sink,
        schema,
        compression=COMPRESSION,
        compression_level=COMPRESSION_LEVEL,
        use_dictionary=False,
        write_statistics=False,
        write_page_checksum=True,
        store_schema=False,
    ) as writer:
        for group in _row_groups(samples):
            table = pa.Table.from_pylist([_row(sample, coding) for sample in group], schema=schema)
            writer.write_table(table, row_group_size=len(group))
    return bytes(sink.getvalue())


def shard_info(split: str, index: int, samples: Sequence[Sample], data: bytes) -> ShardInfo:
    """Describe encoded samples; the name holds split, number and digest."""
    digest = hashlib.sha256(data).hexdigest()
    return ShardInfo(
        name=f"shards/{split}-{index:05d}-{digest[:12]}.parquet",
        sha256=digest,
        bytes=len(data),
        rows=len(samples),
        decoded_bytes=sum(sample.decoded_bytes for sample in samples),
    )


def read_shard(storage: Storage, shard: ShardInfo) -> pa.Table:
    """Fetch a whole shard, verify its sha256, then parse it.

    Raises:
        CorruptionError: the shard is missing, differs from its digest after every fetch, or is no shard.
    """
    return parse_shard(fetch_shard(storage, shard), shard)


def parse_shard(data: bytes | bytearray, shard: ShardInfo) -> pa.Table:
    """The table in a shard's verified bytes.

    Raises:
        CorruptionError: they are no shard.
    """
    return pa.concat_tables(iter_row_groups(data, shard))


def iter_row_groups(data: bytes | bytearray, shard: ShardInfo) -> Iterator[pa.Table]:
    """The tables of a shard's row groups, one after the other, from its verified bytes, with plain pixels.

    Raises:
        CorruptionError: they are no shard.
    """
    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        # An embedded Arrow schema can name extension types whose loading runs code: refused unread.
        if b"ARROW:schema" in (file.metadata.metadata or {}):
            raise CorruptionError(
                f"shard {shard.name} embeds an Arrow schema, which shards never do; pack again"
            )
        found = {field.name: field.type for field in file.schema_arrow}
        if found.keys() - _OPTIONAL.keys() != _COLUMNS.keys() or not found.items() <= _KNOWN.items():
            raise CorruptionError(f"shard {shard.name} has other columns than the format; pack again")
        if file.num_row_groups == 0:
            raise CorruptionError(f"shard {shard.name} holds no row, which shards always do; pack again")
        for group in range(file.num_row_groups):
            # Shards are read side by side: threads of one for its columns cost a quarter more.
            yield _decoded(file.read_row_group(group, columns=list(found), use_threads=False))
    except pa.ArrowException as error:
        raise CorruptionError(
            f"shard {shard.name} is no readable parquet file: {error}; pack again"
        ) from error


def _decoded(table: pa.Table) -> pa.Table:
    """The table with images as they are, without the column that says how they were coded."""
    if _CODING.name not in table.column_names:
        return table
    rows = table.drop_columns([name for name in _PIXELS if name in table.column_names]).to_pylist()
    shapes = [(*_size(row), row["channels"]) for row in rows]
    dtypes = [np.dtype(row["dtype"]).newbyteorder("<") for row in rows]
    sizes = [math.prod(shape) * dtype.itemsize for shape, dtype in zip(shapes, dtypes, strict=True)]
    coded = [value.as_buffer() for value in table["image"]]
    for buffer, size in zip(coded, sizes, strict=True):
        _check_size("image", buffer, size)
    if all(row[_CODING.name] == RAW for row in rows):
        return table.drop_columns([_CODING.name])
    ends = np.cumsum([0, *sizes], dtype=np.int32)
    pixels = np.empty(ends[-1], np.uint8)
    for index, row in enumerate(rows):
        out = pixels[ends[index] : ends[index + 1]].view(dtypes[index]).reshape(shapes[index])
        decode_pixels(np.frombuffer(coded[index], np.uint8), out, row[_CODING.name])
    images = pa.BinaryArray.from_buffers(
        pa.binary(), len(rows), [None, pa.py_buffer(ends), pa.py_buffer(pixels)]
    )
    position = table.column_names.index("image")
    return table.set_column(position, SCHEMA.field("image"), images).drop_columns([_CODING.name])


def _size(row: Mapping[str, Any]) -> tuple[int, ...]:
    """(planes,) height and width."""
    plane = (row["height"], row["width"])
    return (row["depth"], *plane) if "depth" in row else plane


def decode_image(buffer: pa.Buffer | bytes, size: Sequence[int], channels: int, dtype: str) -> NDArray[Any]:
    """View raw bytes as an image, shape (*size, C).

    Raises:
        CorruptionError: the number of bytes is not that of the shape.
    """
    expected = math.prod(size) * channels * np.dtype(dtype).itemsize
    _check_size("image", buffer, expected)
    return np.frombuffer(buffer, np.dtype(dtype).newbyteorder("<")).reshape(*size, channels)


def decode_mask(buffer: pa.Buffer | bytes, size: Sequence[int]) -> NDArray[np.uint8]:
    """View raw bytes as a mask of that size.

    Raises:
        CorruptionError: the number of bytes is not that of the shape.
    """
    _check_size("mask", buffer, math.prod(size))
    return np.frombuffer(buffer, np.uint8).reshape(size)


def samples_of(table: pa.Table) -> Iterator[Sample]:
    """Rows of a shard's table; pixels are views of the table's memory."""
    small = table.drop_columns([name for name in _PIXELS if name in table.column_names]).to_pylist()
    for index, row in enumerate(small):
        size = _size(row)
        image = table["image"][index].as_buffer()
        yield Sample(
            sample_id=row["sample_id"],
            group=row["group"],
            image=decode_image(image, size, row["channels"], row["dtype"]),
            mask=decode_mask(table["mask"][index].as_buffer(), size),
            label=row["label"],
            source=row["source"],
            source_size_px=(row["source_height"], row["source_width"]),
            tile=_tile(row),
            space=Space.from_json(row["space"]) if row.get("space") else None,
            instances=_ids(table, index, size),
        )


def _ids(table: pa.Table, row: int, size: tuple[int, ...]) -> NDArray[np.int32] | None:
    if _INSTANCES.name not in table.column_names or not (value := table[_INSTANCES.name][row]).is_valid:
        return None
    buffer = value.as_buffer()
    _check_size("instances", buffer, math.prod(size) * 4)
    return np.frombuffer(buffer, "<i4").reshape(size)


def iter_samples(storage: Storage, manifest: Manifest, split: str) -> Iterator[Sample]:
    """Samples of a split in storage order; memory holds one shard.

    Raises:
        CorruptionError: see `read_shard`.
    """
    for shard in manifest.splits[split].shards:
        yield from samples_of_shard(storage, shard)


def samples_of_shard(storage: Storage, shard: ShardInfo) -> Iterator[Sample]:
    """Samples of a shard that belong to its split, in storage order.

    Raises:
        CorruptionError: see `read_shard`.
    """
    samples = samples_of(read_shard(storage, shard))
    chosen = None if shard.selected is None else frozenset(shard.selected)
    yield from (sample for row, sample in enumerate(samples) if chosen is None or row in chosen)


def _schema_of(samples: Sequence[Sample]) -> pa.Schema:
    schema = SCHEMA
    if samples[0].mask.ndim == 3:
        for column in _VOLUME:
            schema = schema.append(column)
    if any(sample.space is not None for sample in samples):
        schema = schema.append(_SPACE)
    if any(sample.instances is not None for sample in samples):
        schema = schema.append(_INSTANCES)
    return schema.append(_CODING)


def _tile(row: Mapping[str, Any]) -> Box | None:
    if row["tile_top"] is None:
        return None
    front = row.get("tile_front") or 0
    return Box(row["tile_top"], row["tile_left"], row["height"], row["width"], front, row.get("depth"))


def _row_groups(samples: Sequence[Sample]) -> Iterator[list[Sample]]:
    group: list[Sample] = []
    held_bytes = 0
    for sample in samples:
        group.append(sample)
        held_bytes += sample.decoded_bytes
        if held_bytes >= _ROW_GROUP_BYTES:
            yield group
            group, held_bytes = [], 0
    if group:
        yield group


def _row(sample: Sample, coding: str) -> dict[str, Any]:
    *planes, height, width, channels = sample.image.shape
    dtype = sample.image.dtype
    return {
        "sample_id": sample.sample_id,
        "group": sample.group,
        "image": encode_pixels(sample.image, coding),
        "mask": sample.mask.tobytes(),
        "height": height,
        "width": width,
        "channels": channels,
        "dtype": dtype.name,
        "label": sample.label,
        "source": sample.source,
        "tile_top": sample.tile.top if sample.tile else None,
        "tile_left": sample.tile.left if sample.tile else None,
        "source_height": sample.source_size_px[0],
        "source_width": sample.source_size_px[1],
        "instances": None if sample.instances is None else sample.instances.astype("<i4").tobytes(),
        "depth": planes[0] if planes else None,
        "tile_front": sample.tile.front if sample.tile and planes else None,
        "space": None if sample.space is None else sample.space.to_json(),
        "coding": coding,
    }


def _check_size(what: str, buffer: pa.Buffer | bytes, expected: int) -> None:
    found = buffer.size if isinstance(buffer, pa.Buffer) else len(buffer)
    if found != expected:
        raise CorruptionError(
            f"{what} holds {found} bytes where its shape needs {expected}; pack the dataset again"
        )
