from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unetpp.core.errors import CorruptionError
from unetpp.core.storage import Storage
from unetpp.data.dataset.parquet import (
    SCHEMA,
    decode_image,
    decode_mask,
    encode_shard,
    read_shard,
    samples_of,
    shard_info,
)
from unetpp.data.dataset.sample import Sample
from unetpp.data.sources.raster import Box, Space

MakeSample = Callable[..., Sample]


class FlakyStorage(Storage):
    """Damages the first `bad` reads."""

    def __init__(self, uri: str, bad: int) -> None:
        super().__init__(uri)
        self.bad = bad
        self.reads = 0

    def read_range(self, path: str, start: int, stop: int) -> bytes:
        self.reads += 1
        data = bytearray(super().read_range(path, start, stop))
        if self.reads <= self.bad:
            data[len(data) // 2] ^= 1
        return bytes(data)


def store(storage: Storage, samples: list[Sample]):
    data = encode_shard(samples)
    info = shard_info("train", 0, samples, data)
    storage.write(info.name, data)
    return info


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_shard_written_and_read_gives_the_samples_back(tmp_path, make_sample: MakeSample, dtype):
    storage = Storage(str(tmp_path))
    whole = make_sample("whole", 7, 4, 2, dtype)
    tile = Sample("t@2x3", "t", whole.image, whole.mask, 1, "t.tif", (20, 30), Box(2, 3, 7, 4))
    info = store(storage, [whole, tile])
    read = list(samples_of(read_shard(storage, info)))
    assert info.rows == 2
    assert info.decoded_bytes == whole.decoded_bytes * 2
    for before, after in zip([whole, tile], read, strict=True):
        np.testing.assert_array_equal(before.image, after.image)
        np.testing.assert_array_equal(before.mask, after.mask)
        assert after.image.dtype == dtype
        assert (
            after.sample_id,
            after.group,
            after.label,
            after.source,
            after.source_size_px,
            after.tile,
        ) == (
            before.sample_id,
            before.group,
            before.label,
            before.source,
            before.source_size_px,
            before.tile,
        )


def test_shard_encoded_twice_gives_the_same_bytes(make_sample: MakeSample):
    assert encode_shard([make_sample()]) == encode_shard([make_sample()])


def test_shard_of_many_rows_has_row_groups_of_about_8_mib(make_sample: MakeSample):
    sample = make_sample("big", 512, 512, 15)
    metadata = pq.read_metadata(pa.BufferReader(encode_shard([sample] * 5)))
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [2, 2, 1]


def test_read_shard_with_one_bad_fetch_fetches_again(tmp_path, make_sample: MakeSample):
    storage = FlakyStorage(str(tmp_path), bad=2)
    info = store(storage, [make_sample()])
    assert read_shard(storage, info).num_rows == 1
    assert storage.reads == 3


def test_read_shard_damaged_for_good_raises_and_names_the_shard(tmp_path, make_sample: MakeSample):
    storage = FlakyStorage(str(tmp_path), bad=99)
    info = store(storage, [make_sample()])
    with pytest.raises(CorruptionError, match=rf"{info.name}.*3 fetches"):
        read_shard(storage, info)
    assert storage.reads == 3


def test_read_shard_missing_raises_at_once(tmp_path, make_sample: MakeSample):
    storage = FlakyStorage(str(tmp_path), bad=0)
    info = store(storage, [make_sample()])
    storage.delete(info.name)
    with pytest.raises(CorruptionError, match="missing"):
        read_shard(storage, info)
    assert storage.reads == 1


def test_read_shard_with_embedded_arrow_schema_is_refused(tmp_path, make_sample: MakeSample):
    storage = Storage(str(tmp_path))
    sink = pa.BufferOutputStream()
    pq.write_table(SCHEMA.empty_table(), sink)
    data = bytes(sink.getvalue())
    info = shard_info("train", 0, [], data)
    storage.write(info.name, data)
    with pytest.raises(CorruptionError, match="Arrow schema"):
        read_shard(storage, info)


@pytest.mark.parametrize("content", [b"", b"PAR1 no parquet PAR1"])
def test_read_shard_of_other_content_is_refused(tmp_path, content):
    storage = Storage(str(tmp_path))
    info = shard_info("train", 0, [], content)
    storage.write(info.name, content)
    with pytest.raises(CorruptionError, match="parquet"):
        read_shard(storage, info)


def test_read_shard_with_other_columns_is_refused(tmp_path):
    storage = Storage(str(tmp_path))
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"image": ["text"]}), sink, store_schema=False)
    data = bytes(sink.getvalue())
    info = shard_info("train", 0, [], data)
    storage.write(info.name, data)
    with pytest.raises(CorruptionError, match="columns"):
        read_shard(storage, info)


def test_decode_with_too_few_bytes_raises():
    with pytest.raises(CorruptionError, match=r"11 bytes.*12"):
        decode_image(bytes(11), (2, 2), 3, "uint8")
    with pytest.raises(CorruptionError, match="mask"):
        decode_mask(bytes(3), (2, 2))


def test_decode_image_reads_little_endian():
    image = decode_image(bytes([1, 2]), (1, 1), 1, "uint16")
    assert image.tolist() == [[[513]]]


def test_shard_keeps_where_a_sample_lies_and_has_no_such_column_without(tmp_path, make_sample: MakeSample):
    storage = Storage(str(tmp_path))
    plain = make_sample("plain", 4, 4, 1, "uint8")
    placed = replace(plain, space=Space(spacing=(3.0, 0.5, 0.5), unit="mm"))
    read = list(samples_of(read_shard(storage, store(storage, [plain, placed]))))
    assert [sample.space for sample in read] == [None, placed.space]
    assert "space" not in read_shard(storage, store(storage, [plain])).column_names
