import errno
import json
import logging
from pathlib import Path

import numpy as np
import pytest

from unetpp.core.errors import ExistsError, InputError, StorageError
from unetpp.core.storage import Storage
from unetpp.data.dataset.contents import read_contents, row_digests
from unetpp.data.dataset.manifests import commit_manifest, load_manifest
from unetpp.data.dataset.parquet import iter_samples
from unetpp.data.dataset.verify import verify
from unetpp.data.pack.classes import ClassSpec
from unetpp.data.pack.discover import SourceFolder
from unetpp.data.pack.masks.understood import Understood
from unetpp.data.pack.options import PackOptions
from unetpp.data.pack.pack import Progress, pack
from unetpp.data.pack.rejections import STRICT
from unetpp.data.pack.runners import run_here
from unetpp.data.pack.shard_writer import write_shard
from unetpp.data.pack.splitting.groups import load_group_rule

GREY = np.arange(64, dtype=np.uint8).reshape(8, 8) * 3
MASK = (GREY > 90).astype(np.uint8)
ALL_TRAIN = PackOptions(val=0, test=0)


class Recorder:
    """Remembers what it hears, in order."""

    def __init__(self) -> None:
        self.seen: list[Progress | Understood] = []
        self.progress = self.understood = self.seen.append


def samples(out: Path) -> dict:
    storage = Storage(str(out))
    manifest = load_manifest(storage)
    return {s.sample_id: s for split in manifest.splits for s in iter_samples(storage, manifest, split)}


def rejected(out: Path) -> dict[str, str]:
    lines = (out / "rejected.jsonl").read_text().splitlines()
    return {Path(entry["file"]).name: entry["reason"] for entry in map(json.loads, lines)}


def shard_files(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (out / "shards").iterdir()}


def fill(folder: SourceFolder, save, count: int, image=GREY, mask=MASK) -> None:
    for index in range(count):
        save(Path(folder.images) / f"i{index}.png", image + np.uint8(index))
        save(Path(folder.masks) / f"i{index}.png", mask)


def test_pack_stores_every_pixel_of_every_pair(tmp_path, folder, save):
    fill(folder, save, 20)
    result = pack([folder], str(tmp_path / "out"), PackOptions())
    found = samples(tmp_path / "out")
    assert sorted(found) == sorted(f"i{i}" for i in range(20))
    for index in range(20):
        np.testing.assert_array_equal(found[f"i{index}"].image[:, :, 0], GREY + np.uint8(index))
        np.testing.assert_array_equal(found[f"i{index}"].mask, MASK)
    manifest = result.manifest
    assert {split: info.rows for split, info in manifest.splits.items()} == {"train": 16, "val": 2, "test": 2}
    assert (manifest.task, manifest.channels, manifest.dtype) == ("binary", 1, "uint8")
    assert manifest.sizes == {"8x8": 20}
    assert manifest.class_pixels == (int(MASK.sum()) * 16,)
    assert result.rejections == ()
    assert not (tmp_path / "out" / "rejected.jsonl").exists()
    assert not list((tmp_path / "out").glob("packing-*"))
    assert verify(Storage(str(tmp_path / "out"))).ok


def test_pack_of_channel_files_joins_them_and_counts_all_in_the_digest(tmp_path, folder, save):
    for index in range(4):
        for channel in range(2):
            image = Path(folder.images) / f"case{index}_{channel:04d}.png"
            save(image, GREY + np.uint8(index + 50 * channel))
        save(Path(folder.masks) / f"case{index}.png", MASK)
    first = pack([folder], str(tmp_path / "out"), ALL_TRAIN).manifest
    found = samples(tmp_path / "out")
    assert first.channels == 2
    assert sorted(found) == [f"case{index}" for index in range(4)]
    np.testing.assert_array_equal(found["case3"].image, np.dstack([GREY + np.uint8(3), GREY + np.uint8(53)]))
    save(Path(folder.images) / "case1_0001.png", GREY)
    second = pack([folder], str(tmp_path / "out"), ALL_TRAIN, overwrite=True).manifest
    assert second.fingerprint != first.fingerprint


@pytest.mark.parametrize(
    ("other", "reason"),
    [(GREY[:4], "differ in shape and dtype"), (GREY.astype(np.uint16), "differ in shape and dtype")],
    ids=["size", "dtype"],
)
def test_pack_of_channel_files_that_differ_rejects_the_image(tmp_path, folder, save, other, reason):
    for index in range(3):
        save(Path(folder.images) / f"case{index}_0000.png", GREY)
        save(Path(folder.images) / f"case{index}_0001.png", other if index == 1 else GREY)
        save(Path(folder.masks) / f"case{index}.png", MASK)
    pack([folder], str(tmp_path / "out"), ALL_TRAIN)
    assert sorted(samples(tmp_path / "out")) == ["case0", "case2"]
    assert reason in rejected(tmp_path / "out")["case1_0000.png"]


def test_pack_of_the_same_files_elsewhere_gives_the_same_shards(tmp_path, cells):
    one = pack([cells], str(tmp_path / "a"), PackOptions(tile_px=20))
    moved = SourceFolder(
        str(Path(cells.images).rename(tmp_path / "i")), str(Path(cells.masks).rename(tmp_path / "m"))
    )
    try:
        other = pack([moved], str(tmp_path / "b"), PackOptions(tile_px=20))
    finally:
        Path(moved.images).rename(cells.images)
        Path(moved.masks).rename(cells.masks)
    assert shard_files(tmp_path / "a") == shard_files(tmp_path / "b")
    assert one.manifest.fingerprint == other.manifest.fingerprint


def test_pack_with_size_resizes_image_and_mask(tmp_path, folder, save):
    fill(folder, save, 3, np.zeros((10, 30), np.uint8), np.eye(10, 30, dtype=np.uint8))
    manifest = pack([folder], str(tmp_path / "out"), PackOptions(val=0, test=0, size_px=16)).manifest
    sample = samples(tmp_path / "out")["i0"]
    assert manifest.sizes == {"16x16": 3}
    assert (sample.image.shape, sample.mask.shape) == ((16, 16, 1), (16, 16))
    assert sample.source_size_px == (10, 30)


def test_pack_with_tile_reassembles_to_the_source(tmp_path, folder, save):
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (20, 27), dtype=np.uint8)
    mask = (image > 99).astype(np.uint8)
    fill(folder, save, 10, image, mask)
    manifest = pack([folder], str(tmp_path / "out"), PackOptions(tile_px=16)).manifest
    rebuilt, split_of = np.zeros_like(mask), {}
    for split in manifest.splits:
        for sample in iter_samples(Storage(str(tmp_path / "out")), manifest, split):
            assert split_of.setdefault(sample.group, split) == split
            assert sample.tile is not None
            if sample.group == "i0":
                box = sample.tile
                rebuilt[box.top : box.top + box.height, box.left : box.left + box.width] = sample.mask
    np.testing.assert_array_equal(rebuilt, mask)
    assert sum(info.rows for info in manifest.splits.values()) == 40


def test_pack_rejects_each_bad_pair_with_its_reason(tmp_path, folder, save):
    fill(folder, save, 4)
    images, masks = Path(folder.images), Path(folder.masks)
    whole = (images / "i0.png").read_bytes()
    for name in ("cut", "text", "small", "deep", "five"):
        save(masks / f"{name}.png", MASK)
    (images / "cut.png").write_bytes(whole[: len(whole) // 2])
    (images / "text.png").write_text("hello")
    save(images / "small.png", GREY[:4])
    save(images / "deep.png", GREY.astype(np.uint16))
    save(images / "five.npy", np.zeros((8, 8, 5), np.uint8))
    save(images / "alone.png", GREY)
    save(images / "label.png", GREY)
    save(masks / "label.png", MASK * 7)
    spec = ClassSpec.model_validate({"classes": ["cell"]})
    result = pack([folder], str(tmp_path / "out"), PackOptions(val=0, test=0, classes=spec))
    reasons = rejected(tmp_path / "out")
    assert sorted(samples(tmp_path / "out")) == ["i0", "i1", "i2", "i3"]
    assert len(result.rejections) == len(reasons) == 7
    for name, part in {
        "cut.png": "damaged",
        "text.png": "unknown format",
        "small.png": "mask is 8x8, image 4x8",
        "deep.png": "dtype uint16",
        "five.npy": "channels=5",
        "alone.png": "no mask",
        "label.png": "values 7",
    }.items():
        assert part in reasons[name], name


def test_pack_strict_fails_on_the_first_bad_pair_and_commits_nothing(tmp_path, folder, save):
    fill(folder, save, 3)
    (Path(folder.images) / "i1.png").write_text("hello")
    with pytest.raises(InputError, match=r"i1\.png.*unknown format.*--strict"):
        pack([folder], str(tmp_path / "out"), ALL_TRAIN, max_rejected=STRICT)
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_pack_with_no_usable_pair_raises_with_reasons_and_lists_them(tmp_path, folder, save):
    fill(folder, save, 2)
    for path in Path(folder.images).iterdir():
        path.write_text("hello")
    with pytest.raises(InputError, match=r"2 files were rejected.*unknown format"):
        pack([folder], str(tmp_path / "out"), ALL_TRAIN)
    assert len(rejected(tmp_path / "out")) == 2


def test_pack_of_images_that_break_only_when_decoded_leaves_the_rest(tmp_path, folder, save):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    fill(folder, save, 3, noise, (noise > 99).astype(np.uint8))
    data = (Path(folder.images) / "i2.png").read_bytes()
    (Path(folder.images) / "i2.png").write_bytes(data[:-500])
    result = pack([folder], str(tmp_path / "out"), ALL_TRAIN)
    assert sorted(samples(tmp_path / "out")) == ["i0", "i1"]
    assert result.manifest.splits["train"].rows == 2


def test_pack_of_grey_and_rgb_images_repeats_the_grey_channel(tmp_path, folder, save):
    fill(folder, save, 2)
    save(Path(folder.images) / "rgb.png", np.dstack([GREY, GREY, MASK]))
    save(Path(folder.masks) / "rgb.png", MASK)
    assert pack([folder], str(tmp_path / "out"), ALL_TRAIN).manifest.channels == 3
    np.testing.assert_array_equal(samples(tmp_path / "out")["i0"].image, np.dstack([GREY] * 3))


def test_pack_with_named_splits_keeps_them(tmp_path, folder, save):
    fill(folder, save, 3)
    named = [SourceFolder(folder.images, folder.masks, split) for split in ("train", "val")]
    manifest = pack(named, str(tmp_path / "out"), PackOptions()).manifest
    assert {split: info.rows for split, info in manifest.splits.items()} == {"train": 3, "val": 3}


def test_pack_with_groups_keeps_each_in_one_split(tmp_path, folder, save):
    for index in range(30):
        save(Path(folder.images) / f"p{index % 10}_{index}.png", GREY + np.uint8(index))
        save(Path(folder.masks) / f"p{index % 10}_{index}.png", MASK)
    manifest = pack([folder], str(tmp_path / "out"), PackOptions(group=load_group_rule(r"^(p\d+)_"))).manifest
    storage, split_of = Storage(str(tmp_path / "out")), {}
    for split in manifest.splits:
        for sample in iter_samples(storage, manifest, split):
            assert sample.group == sample.sample_id.split("_")[0]
            assert split_of.setdefault(sample.group, split) == split
    assert set(split_of.values()) == {"train", "val", "test"}


def test_pack_with_image_labels_takes_them_from_folders(tmp_path, folder, save):
    for name in ("benign/a", "malignant/b", "c"):
        save(Path(folder.images) / f"{name}.png", GREY)
        save(Path(folder.masks) / f"{name}.png", MASK)
    spec = ClassSpec.model_validate({"classes": ["lesion"], "image_labels": ["benign", "malignant"]})
    manifest = pack([folder], str(tmp_path / "out"), PackOptions(val=0, test=0, classes=spec)).manifest
    found = samples(tmp_path / "out")
    assert [found[i].label for i in ("benign/a", "malignant/b", "c")] == [0, 1, None]
    assert manifest.image_labels == ("benign", "malignant")


def test_pack_over_a_dataset_needs_overwrite_and_then_adds_a_version(tmp_path, cells):
    out = str(tmp_path / "out")
    first = pack([cells], out, ALL_TRAIN)
    with pytest.raises(ExistsError, match="--overwrite"):
        pack([cells], out, PackOptions(val=0.5, test=0))
    second = pack([cells], out, PackOptions(val=0.5, test=0), overwrite=True)
    assert (first.manifest.version, second.manifest.version) == ("00001", "00002")
    assert load_manifest(Storage(out)) == second.manifest
    assert load_manifest(Storage(out), "00001") == first.manifest
    assert verify(Storage(out)).orphans == ()


def test_pack_of_copies_in_two_splits_warns(tmp_path, folder, save, caplog):
    for index in range(20):
        save(Path(folder.images) / f"i{index}.png", GREY)
        save(Path(folder.masks) / f"i{index}.png", MASK)
    pack([folder], str(tmp_path / "out"), PackOptions())
    assert "same content as one in another split" in caplog.text


def test_pack_reports_progress_to_the_end(tmp_path, cells):
    listener = Recorder()
    pack([cells], str(tmp_path / "out"), ALL_TRAIN, listener=listener)
    understood = next(entry for entry in listener.seen if isinstance(entry, Understood))
    before = listener.seen[: listener.seen.index(understood)]
    seen = [entry for entry in listener.seen if isinstance(entry, Progress)]
    assert [p.done for p in seen if p.phase == "scan"] == list(range(1, 13))
    assert {p.phase for p in before} == {"scan"}
    assert seen[-1] == Progress("write", 12, 12, 0)


@pytest.mark.parametrize(
    "options", [PackOptions(size_px=16, tile_px=16), PackOptions(size_px=4), PackOptions(tile_px=0)]
)
def test_pack_with_contradicting_options_raises(tmp_path, cells, options):
    with pytest.raises(InputError, match=r"--size|--tile"):
        pack([cells], str(tmp_path / "out"), options)


class StopsAfter:
    """A runner whose process dies after some shards."""

    def __init__(self, shards: int, error: BaseException) -> None:
        self.left, self.error = shards, error

    def __call__(self, function, items):
        for item in items:
            if function is write_shard:
                if self.left == 0:
                    raise self.error
                self.left -= 1
            yield function(item)


class Recording:
    """Runs here and remembers which shards had to be written."""

    def __init__(self) -> None:
        self.written: list[str] = []

    def __call__(self, function, items):
        if function is write_shard:
            self.written += [f"{t.shard.split}{t.shard.index}" for t in items if t.finished is None]
        return run_here(function, items)


@pytest.fixture
def big(tmp_path, save) -> SourceFolder:
    """Enough pixels for several shards."""
    folder = SourceFolder(str(tmp_path / "big" / "images"), str(tmp_path / "big" / "masks"))
    random = np.random.default_rng(0)
    for index in range(6):
        image = np.repeat(random.integers(0, 256, (1, 1000), dtype=np.uint8), 700, axis=0)
        save(Path(folder.images) / f"{index}.png", image)
        save(Path(folder.masks) / f"{index}.png", (image > 99).astype(np.uint8))
    return folder


@pytest.mark.slow
def test_pack_interrupted_continues_where_it_stopped_with_the_same_result(tmp_path, big):
    whole = pack([big], str(tmp_path / "whole"), ALL_TRAIN).manifest
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        pack([big], str(out), ALL_TRAIN, run=StopsAfter(2, KeyboardInterrupt()))
    assert len(list(out.glob("packing-*.jsonl"))) == 1
    assert not (out / "manifest.json").exists()
    recording = Recording()
    resumed = pack([big], str(out), ALL_TRAIN, run=recording).manifest
    assert len(recording.written) == len(whole.splits["train"].shards) - 2 > 0
    assert resumed.model_copy(update={"command": whole.command}) == whole
    assert not list(out.glob("packing-*"))


def test_pack_interrupted_under_an_earlier_release_writes_its_shards_again(tmp_path, big):
    """Its journal lacks the digests of the images."""
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        pack([big], str(out), ALL_TRAIN, run=StopsAfter(2, KeyboardInterrupt()))
    (journal,) = out.glob("packing-*.jsonl")
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    old = [{key: value for key, value in line.items() if key != "images"} for line in lines]
    journal.write_text("".join(json.dumps(line) + "\n" for line in old))
    recording = Recording()
    manifest = pack([big], str(out), ALL_TRAIN, run=recording).manifest
    assert len(recording.written) == len(manifest.splits["train"].shards)
    contents = read_contents(Storage(str(out)), manifest)
    assert contents == {"train": row_digests(Storage(str(out)), manifest, "train"), "val": [], "test": []}


def test_pack_interrupted_then_damaged_writes_the_shard_again(tmp_path, big):
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        pack([big], str(out), ALL_TRAIN, run=StopsAfter(2, KeyboardInterrupt()))
    next((out / "shards").iterdir()).write_bytes(b"junk")
    pack([big], str(out), ALL_TRAIN)
    assert verify(Storage(str(out))).ok


def test_pack_after_an_interrupted_one_of_other_sources_says_so(tmp_path, big, cells, caplog):
    out = str(tmp_path / "out")
    with pytest.raises(KeyboardInterrupt):
        pack([big], out, ALL_TRAIN, run=StopsAfter(2, KeyboardInterrupt()))
    with caplog.at_level(logging.WARNING):
        pack([cells], out, ALL_TRAIN)
    assert "unfinished packing of other sources or options" in caplog.text
    result = verify(Storage(out))
    assert result.ok
    assert len(result.orphans) == 2


def test_pack_on_a_full_disk_raises_storage_error_and_keeps_finished_shards(tmp_path, big, monkeypatch):
    out = tmp_path / "out"
    replace = __import__("os").replace

    def full(source, target):
        if Path(target).parent.name == "shards" and len(list((out / "shards").glob("*.parquet"))) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(StorageError, match="no space left"):
        pack([big], str(out), ALL_TRAIN)
    monkeypatch.undo()
    recording = Recording()
    pack([big], str(out), ALL_TRAIN, run=recording)
    assert len(recording.written) == 4


def test_pack_beaten_by_another_packer_raises_and_leaves_its_dataset(tmp_path, cells, big):
    out = str(tmp_path / "out")

    def slow(function, items):
        if function is write_shard:
            # The other packer, which also found no dataset, commits while this one writes.
            other = pack([cells], str(tmp_path / "other"), ALL_TRAIN).manifest
            commit_manifest(Storage(out), other)
        return run_here(function, items)

    with pytest.raises(ExistsError, match="another packer"):
        pack([big], out, ALL_TRAIN, run=slow)
    assert sum(info.rows for info in load_manifest(Storage(out)).splits.values()) == 12
