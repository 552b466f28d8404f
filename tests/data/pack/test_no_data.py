"""Pixels without data never count: not in masks, not in statistics, not after an interruption."""

import logging
from pathlib import Path

import numpy as np
import pytest
import tifffile

from unetpp.core.errors import InputError
from unetpp.core.storage import Storage
from unetpp.data.dataset.manifests import load_manifest
from unetpp.data.dataset.parquet import iter_samples
from unetpp.data.dataset.verify import verify
from unetpp.data.images.pixels import Reading
from unetpp.data.pack.options import PackOptions
from unetpp.data.pack.pack import pack
from unetpp.data.pack.runners import run_here
from unetpp.data.pack.shard_writer import write_shard

SIDE, LACKING = 24, 8
OPTIONS = {"whole": {}, "tiles": {"tile_px": 8}, "resized": {"size_px": 12}}


def measured(index: int) -> np.ndarray:
    """Values of 100 to 200, from which -9999 stands out."""
    return (np.random.default_rng(index).random((SIDE, SIDE)) * 100 + 100).astype(np.float32)


def write(folder, count: int, *, nodata: float, tagged: bool, save) -> None:
    for index in range(count):
        image = measured(index)
        image[:LACKING] = nodata
        tags = [(42113, "s", 6, f"{nodata:g}", True)] if tagged else []
        path = Path(folder.images) / f"i{index}.tif"
        tifffile.imwrite(path, image, extratags=tags)
        mask = np.zeros((SIDE, SIDE), np.uint8)
        mask[4:16, 4:16] = 255
        save(Path(folder.masks) / f"i{index}.png", mask)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("kind", ["tag", "nan"])
def test_pixels_without_data_are_ignored_and_not_in_statistics(tmp_path, folder, save, options, kind):
    write(folder, 10, nodata=-9999 if kind == "tag" else np.nan, tagged=kind == "tag", save=save)
    reading = Reading() if kind == "tag" else Reading(nan="ignore")
    chosen = PackOptions(val=0, test=0, reading=reading, **OPTIONS[options])
    manifest = pack([folder], str(tmp_path / "out"), chosen).manifest
    storage = Storage(str(tmp_path / "out"))
    stats = manifest.channel_stats[0]
    expected = np.stack([measured(index)[LACKING:] for index in range(10)])
    if options != "resized":
        assert stats.mean == pytest.approx(expected.mean(dtype=np.float64), rel=1e-6)
        assert stats.std == pytest.approx(expected.std(dtype=np.float64), rel=1e-5)
    assert 99 < stats.p01 < stats.p99 < 201
    assert (manifest.task, manifest.ignore_index) == ("binary", 255)
    assert verify(storage).problems == ()
    for sample in iter_samples(storage, manifest, "train"):
        assert 99 < sample.image.min() <= sample.image.max() < 201
        if options == "whole":
            assert (sample.mask[:LACKING] == 255).all()
            assert set(np.unique(sample.mask[LACKING:])) == {0, 1}
    assert manifest.class_pixels[0] > 0


def test_image_without_data_in_any_pixel_is_rejected(tmp_path, folder, save):
    write(folder, 4, nodata=-9999, tagged=True, save=save)
    empty = np.full((SIDE, SIDE), -9999, np.float32)
    tifffile.imwrite(Path(folder.images) / "i2.tif", empty, extratags=[(42113, "s", 6, "-9999", True)])
    result = pack([folder], str(tmp_path / "out"), PackOptions(val=0, test=0))
    assert [rejection.reason for rejection in result.rejections] == ["no pixel of the image holds data"]


def test_pack_interrupted_amid_images_without_data_gives_the_same_statistics_later(tmp_path, folder, save):
    write(folder, 12, nodata=-9999, tagged=True, save=save)

    def breaks(function, items):
        for index, item in enumerate(items):
            if function is write_shard and index == 2:
                raise KeyboardInterrupt
            yield function(item)

    with pytest.raises(KeyboardInterrupt):
        pack([folder], str(tmp_path / "out"), PackOptions(), run=breaks)
    later = pack([folder], str(tmp_path / "out"), PackOptions(), run=run_here).manifest
    once = pack([folder], str(tmp_path / "once"), PackOptions()).manifest
    assert later.channel_stats == once.channel_stats
    assert later.splits == once.splits


def test_pack_without_the_option_rejects_nan_and_names_it(tmp_path, folder, save):
    write(folder, 3, nodata=np.nan, tagged=False, save=save)
    with pytest.raises(InputError, match="--nan ignore"):
        pack([folder], str(tmp_path / "out"), PackOptions(val=0, test=0))


def test_pack_of_an_alpha_band_that_varies_asks_packs_as_told_and_says_so(tmp_path, folder, save, caplog):
    caplog.set_level(logging.INFO)
    random = np.random.default_rng(0)
    for index in range(4):
        image = random.integers(0, 256, (SIDE, SIDE, 4), dtype=np.uint8)
        path = Path(folder.images) / f"i{index}.tif"
        tifffile.imwrite(path, image, photometric="rgb", extrasamples=["unassalpha"])
        save(Path(folder.masks) / f"i{index}.png", (image[..., 3] > 99).astype(np.uint8))
    out = str(tmp_path / "out")
    with pytest.raises(InputError, match=r"i0\.tif: band 4 of 4 is tagged as alpha.*--alpha keep"):
        pack([folder], out, PackOptions(val=0, test=0))
    for alpha, channels in (("keep", 4), ("drop", 3)):
        options = PackOptions(val=0, test=0, reading=Reading(alpha=alpha))
        manifest = pack([folder], out, options, overwrite=True).manifest
        assert (manifest.channels, load_manifest(Storage(out)).reading) == (channels, {"alpha": alpha})
    assert "4 images, as i0: a band tagged as alpha is kept as data" in caplog.text
    assert "4 images, as i0: a band tagged as alpha is left out" in caplog.text


def test_pack_of_a_turned_tiff_meets_a_mask_as_it_is_shown(tmp_path, folder, save):
    for index in range(3):
        image = np.random.default_rng(index).integers(0, 256, (8, 12), dtype=np.uint8)
        tifffile.imwrite(Path(folder.images) / f"i{index}.tif", image, extratags=[(274, "H", 1, 6, True)])
        save(Path(folder.masks) / f"i{index}.png", (np.rot90(image, -1) > 99).astype(np.uint8))
    pack([folder], str(tmp_path / "out"), PackOptions(val=0, test=0))
    storage = Storage(str(tmp_path / "out"))
    for sample in iter_samples(storage, load_manifest(storage), "train"):
        np.testing.assert_array_equal(sample.image[..., 0] > 99, sample.mask == 1)
