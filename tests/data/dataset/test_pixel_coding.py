from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fakes import write_dataset
from unetpp.core.errors import CorruptionError
from unetpp.core.storage import Storage
from unetpp.data.dataset import parquet
from unetpp.data.dataset.manifests import commit_manifest, load_manifest
from unetpp.data.dataset.parquet import SCHEMA, encode_shard, iter_samples, read_shard, samples_of, shard_info
from unetpp.data.dataset.pixel_coding import CODINGS, RAW, choose_coding, decode_pixels, encode_pixels
from unetpp.data.dataset.repack import repack
from unetpp.data.dataset.sample import Sample
from unetpp.data.dataset.verify import verify

MakeSample = Callable[..., Sample]


def photograph(*size: int, channels: int = 3) -> np.ndarray:
    """Smooth but for noise, most of which all channels share."""
    random = np.random.default_rng(0)
    slope = np.add.outer(np.arange(size[-2]), 2 * np.arange(size[-1]))
    shared = slope + random.integers(0, 9, size)
    return (shared[..., None] + random.integers(0, 2, (*size, channels))).astype(np.uint8)


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("shape", [(1, 1, 3), (5, 7, 3), (2, 3, 4, 3)])
def test_coded_pixels_are_decoded_to_the_same_bits(coding, dtype, shape):
    # Every bit pattern of the type, NaN and the largest differences included.
    random = np.random.default_rng(0)
    image = np.frombuffer(random.bytes(int(np.prod(shape)) * np.dtype(dtype).itemsize), dtype).reshape(shape)
    coded = np.frombuffer(encode_pixels(image, coding), np.uint8)
    decoded = np.empty_like(image)
    decode_pixels(coded, decoded, coding)
    assert decoded.tobytes() == image.tobytes()


def test_left_coding_is_planes_of_differences():
    image = np.array([[[10, 1], [12, 0]], [[7, 255], [7, 3]]], np.uint8)
    assert list(encode_pixels(image, "left")) == [10, 2, 7, 0, 1, 255, 255, 4]
    assert list(encode_pixels(image.astype(np.uint16)[:1], "left")) == [20, 4, 2, 1, 0, 0, 0, 0]


def test_green_is_taken_from_red_and_blue():
    image = np.array([[[10, 4, 3], [11, 5, 3]]], np.uint8)
    assert list(encode_pixels(image, "left-green")) == [6, 0, 4, 1, 255, 255]


@pytest.mark.parametrize(
    ("image", "coding"),
    [
        (photograph(64, 96, channels=1), "left"),
        (photograph(64, 96), "left-green"),
        (np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8), RAW),
        (np.zeros((0, 4, 3), np.uint8), RAW),
    ],
)
def test_the_coding_of_fewest_bytes_is_chosen(image, coding):
    assert choose_coding([image]) == coding


def test_a_large_image_is_judged_by_its_middle():
    volume = np.zeros((128, 256, 256, 1), np.uint8)
    volume[40:90] = photograph(50, 256, 256, channels=1)
    assert choose_coding([volume]) == "left"


def test_coded_shards_have_fewer_bytes_and_the_same_rows(tmp_path):
    storage = Storage(str(tmp_path))
    sample = Sample("a", "a", photograph(64, 96), np.zeros((64, 96), np.uint8), None, "a.png", (64, 96))
    data = encode_shard([sample, sample])
    info = shard_info("train", 0, [sample, sample], data)
    storage.write(info.name, data)
    assert pq.read_table(pa.BufferReader(data))["coding"].to_pylist() == ["left-green"] * 2
    assert len(data) < 0.6 * len(encoded_as_version_1([sample, sample]))
    table = read_shard(storage, info)
    assert "coding" not in table.column_names
    for read in samples_of(table):
        np.testing.assert_array_equal(read.image, sample.image)


def test_unknown_coding_names_the_known_ones_and_a_fix(tmp_path, make_sample: MakeSample):
    table = parquet_of([make_sample()]).to_pandas()
    table["coding"] = "paeth"
    with pytest.raises(CorruptionError, match=r"coded as paeth.*raw, left, left-green.*newer release"):
        read_table(tmp_path, pa.Table.from_pandas(table, parquet_of([make_sample()]).schema))


def test_coded_pixels_of_the_wrong_length_are_refused(tmp_path, make_sample: MakeSample):
    table = parquet_of([make_sample()])
    short = table.set_column(2, table.schema.field("image"), pa.array([b"123"], pa.binary()))
    with pytest.raises(CorruptionError, match="3 bytes where its shape needs 90"):
        read_table(tmp_path, short)


def test_a_dataset_of_version_1_is_read_verified_and_repacked(tmp_path, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr("fakes.encode_shard", encoded_as_version_1)
        manifest = write_dataset(tmp_path / "old", {"train": 6}, rows_per_shard=3)
    old, new = Storage(str(tmp_path / "old")), Storage(str(tmp_path / "new"))
    first = manifest.model_copy(update={"schema_version": 1, "version": "00002"})
    commit_manifest(old, first)
    assert load_manifest(old).schema_version == 1
    repacked = repack(old, new)
    assert repacked.schema_version == 2
    before, after = (list(iter_samples(storage, load_manifest(storage), "train")) for storage in (old, new))
    assert [sample.image.tolist() for sample in before] == [sample.image.tolist() for sample in after]
    assert [text for text in verify(old).problems if "shard" in text] == []


def encoded_as_version_1(samples: list[Sample]) -> bytes:
    """A shard as earlier releases wrote it: plain pixels, lz4, no column that tells the coding."""
    sink = pa.BufferOutputStream()
    rows = [parquet._row(sample, RAW) for sample in samples]
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), sink, compression="lz4", store_schema=False)
    return bytes(sink.getvalue())


def parquet_of(samples: list[Sample]) -> pa.Table:
    return pq.read_table(pa.BufferReader(encode_shard(samples)))


def read_table(folder, table: pa.Table) -> pa.Table:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, store_schema=False)
    data = bytes(sink.getvalue())
    info = shard_info("train", 0, [], data)
    storage = Storage(str(folder))
    storage.write(info.name, data)
    return read_shard(storage, info)
