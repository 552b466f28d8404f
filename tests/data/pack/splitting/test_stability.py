"""A new version of a dataset leaves every image in the split it was in."""

import logging
import shutil
from pathlib import Path

import pytest

from unetpp.core.storage import open_storage
from unetpp.data.dataset.manifests import load_manifest
from unetpp.data.dataset.membership import read_membership
from unetpp.data.dataset.parquet import iter_samples
from unetpp.data.dataset.repack import repack
from unetpp.data.pack.discover import SourceFolder
from unetpp.data.pack.options import PackOptions
from unetpp.data.pack.pack import pack
from unetpp.data.pack.splitting.groups import load_group_rule
from unetpp.data.synthetic import make_cells


def splits_of(uri: str) -> dict[str, str]:
    storage = open_storage(uri)
    manifest = load_manifest(storage)
    return {
        sample.sample_id: split
        for split in manifest.splits
        for sample in iter_samples(storage, manifest, split)
    }


def shards_of(uri: str) -> list[str]:
    manifest = load_manifest(open_storage(uri))
    return [shard.name for split in manifest.splits.values() for shard in split.shards]


@pytest.fixture(scope="module")
def many(tmp_path_factory) -> SourceFolder:
    folder = tmp_path_factory.mktemp("many")
    make_cells(folder, 50, 16, seed=1)
    return SourceFolder(str(folder / "images"), str(folder / "masks"))


@pytest.fixture
def grow(many, folder):
    """Copies images `start` to `stop` into the folder of this test."""

    def copy(start: int, stop: int) -> SourceFolder:
        for kind in ("images", "masks"):
            for file in sorted(Path(getattr(many, kind)).iterdir())[start:stop]:
                shutil.copy(file, getattr(folder, kind))
        return folder

    return copy


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.s3)])
def out(request, tmp_path) -> str:
    if request.param == "local":
        return str(tmp_path / "out")
    return f"{request.getfixturevalue('s3_env').new_bucket()}/out"


@pytest.mark.parametrize("options", [PackOptions(), PackOptions(tile_px=8)], ids=["whole", "tiles"])
@pytest.mark.parametrize("recorded", [True, False])
def test_pack_again_with_more_images_moves_none_of_the_former_ones(grow, out, options, recorded):
    pack([grow(0, 40)], out, options)
    before = splits_of(out)
    storage = open_storage(out)
    if not recorded:
        # As an earlier release left it.
        for name in storage.list("membership-"):
            storage.delete(name)
    manifest = pack([grow(40, 50)], out, options, overwrite=True).manifest
    after = splits_of(out)
    assert {sample: after[sample] for sample in before} == before
    rows = {split: info.rows for split, info in manifest.splits.items()}
    assert abs(rows["val"] / sum(rows.values()) - 0.1) <= 0.02
    assert abs(rows["test"] / sum(rows.values()) - 0.1) <= 0.02


def test_pack_again_of_the_same_images_gives_the_same_shards(grow, out):
    pack([grow(0, 30)], out, PackOptions())
    before = shards_of(out)
    pack([grow(0, 30)], out, PackOptions(), overwrite=True)
    assert shards_of(out) == before


def test_pack_of_an_image_that_was_gone_for_a_version_returns_it_to_its_split(grow, folder, tmp_path):
    out = str(tmp_path / "out")
    pack([grow(0, 40)], out, PackOptions())
    before = splits_of(out)
    for kind in ("images", "masks"):
        for file in sorted(Path(getattr(folder, kind)).iterdir())[::2]:
            file.unlink()
    pack([folder], out, PackOptions(), overwrite=True)
    pack([grow(0, 40)], out, PackOptions(), overwrite=True)
    assert splits_of(out) == before


def test_pack_with_groups_over_a_version_without_them_keeps_trained_images_in_train(grow, tmp_path):
    out = str(tmp_path / "out")
    pack([grow(0, 40)], out, PackOptions())
    before = splits_of(out)
    trained = next(sample for sample, split in before.items() if split == "train")
    tested = next(sample for sample, split in before.items() if split == "test")
    table = tmp_path / "groups.csv"
    rows = [f"{sample},{'joined' if sample in (trained, tested) else sample}" for sample in before]
    table.write_text("\n".join(["sample,group", *rows]))
    pack([grow(0, 40)], out, PackOptions(group=load_group_rule(str(table))), overwrite=True)
    assert splits_of(out) == before | {tested: "train"}


def test_pack_again_with_other_fractions_says_what_it_keeps(grow, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    out = str(tmp_path / "out")
    pack([grow(0, 40)], out, PackOptions())
    pack([grow(0, 40)], out, PackOptions(val=0.4), overwrite=True)
    assert "40 of 40 images stay in the split of the version before" in caplog.text
    assert "val has 10.0 % of the samples, 40.0 % were asked for, as images stay" in caplog.text


def test_pack_again_that_takes_images_out_of_train_says_so(grow, tmp_path, caplog):
    out = str(tmp_path / "out")
    pack([grow(0, 20)], out, PackOptions(val=0, test=0))
    pack([grow(0, 20)], out, PackOptions(val=0, test=1), overwrite=True)
    assert "20 images that were in train are not any more" in caplog.text


def test_pack_over_a_dataset_that_cannot_be_read_says_so_and_splits_anew(grow, tmp_path, caplog):
    out = str(tmp_path / "out")
    pack([grow(0, 20)], out, PackOptions())
    (tmp_path / "out/manifest-00001.json").write_text("{}")
    pack([grow(0, 20)], out, PackOptions(), overwrite=True)
    assert "images are split anew" in caplog.text
    assert len(splits_of(out)) == 20


def test_repack_takes_the_membership_along(grow, tmp_path):
    pack([grow(0, 20)], str(tmp_path / "a"), PackOptions(tile_px=8))
    source, target = open_storage(tmp_path / "a"), open_storage(tmp_path / "b")
    manifest = repack(source, target)
    assert read_membership(target, manifest) == read_membership(source, load_manifest(source))
    assert len(target.list("membership-")) == 1
