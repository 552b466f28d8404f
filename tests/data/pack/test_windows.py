"""Packing tiles of rasters that are read by windows: what packing the whole gives, from reads of a tile."""

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from unetpp.core.errors import InputError
from unetpp.core.manifest import IGNORE
from unetpp.core.storage import open_storage
from unetpp.data.dataset.contents import image_digest, read_contents
from unetpp.data.dataset.manifests import load_manifest
from unetpp.data.dataset.parquet import iter_samples
from unetpp.data.dataset.verify import verify
from unetpp.data.pack.discover import SourceFolder
from unetpp.data.pack.options import PackOptions
from unetpp.data.pack.pack import pack
from unetpp.data.sources import boxes
from unetpp.data.sources.geo import geotiff
from unetpp.data.sources.raster import Box

SIZE = (150, 110)
TILES = PackOptions(val=0, test=0, tile_px=32)


def save(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {
        "driver": "GTiff", "height": pixels.shape[0], "width": pixels.shape[1], "count": pixels.shape[2],
        "dtype": pixels.dtype.name, "crs": "EPSG:32616", "transform": from_origin(0, 0, 10, 10),
        "tiled": True, "blockxsize": 16, "blockysize": 16, "compress": "deflate",
    }  # fmt: skip
    with rasterio.open(path, "w", **profile | options) as file:
        file.write(np.moveaxis(pixels, -1, 0))


def packed(tmp_path, options=TILES):
    folder = SourceFolder(str(tmp_path / "images"), str(tmp_path / "masks"))
    pack([folder], str(tmp_path / "out"), options)
    storage = open_storage(str(tmp_path / "out"))
    manifest = load_manifest(storage)
    return storage, manifest, list(iter_samples(storage, manifest, "train"))


@pytest.fixture
def reads(monkeypatch):
    """Sizes of all reads of GeoTIFF files."""
    sizes = []
    original = geotiff._GeoTiff.read

    def recorded(self, box=None):
        sizes.append((self.header.height, self.header.width) if box is None else (box.height, box.width))
        return original(self, box)

    monkeypatch.setattr(geotiff._GeoTiff, "read", recorded)
    return sizes


@pytest.mark.parametrize("bands", [1, 3])
def test_tiles_are_read_alone_and_hold_the_pixels_of_the_whole(tmp_path, reads, monkeypatch, bands):
    monkeypatch.setattr(boxes, "_STRIP_BYTES", 32 * 110)
    random = np.random.default_rng(0)
    pixels = random.integers(0, 255, (*SIZE, bands), np.uint8)
    mask = random.integers(0, 2, (*SIZE, 1), np.uint8)
    save(tmp_path / "images" / "a.tif", pixels)
    save(tmp_path / "masks" / "a.tif", mask)
    storage, manifest, samples = packed(tmp_path)
    assert len(samples) == 5 * 4
    for sample in samples:
        box = sample.tile
        part = np.s_[box.top : box.top + box.height, box.left : box.left + box.width]
        np.testing.assert_array_equal(sample.image, pixels[part])
        np.testing.assert_array_equal(sample.mask, mask[part][..., 0])
    # A tile, or a strip of whole rows.
    assert max(height for height, _ in reads) <= 32
    # The digest does not tell how the image was read.
    assert set(read_contents(storage, manifest)["train"]) == {image_digest(pixels)}
    assert manifest.class_pixels == (sum(int((s.mask == 1).sum()) for s in samples),)
    assert verify(storage).problems == ()


def test_nodata_never_counts_and_tiles_without_data_are_left_out(tmp_path):
    random = np.random.default_rng(0)
    pixels = random.integers(100, 200, (*SIZE, 2)).astype(np.int16)
    pixels[:40] = -9999
    pixels[40:60, :50, 1] = -9999
    save(tmp_path / "images" / "a.tif", pixels, nodata=-9999)
    save(tmp_path / "masks" / "a.tif", random.integers(0, 2, (*SIZE, 1), np.uint8))
    storage, manifest, samples = packed(tmp_path)
    assert min(sample.tile.top for sample in samples) == 32
    for sample in samples:
        box = sample.tile
        source = pixels[box.top : box.top + box.height, box.left : box.left + box.width]
        np.testing.assert_array_equal(sample.mask == IGNORE, (source == -9999).any(axis=-1))
        assert sample.image.min() >= 100
    assert manifest.ignore_index == IGNORE
    assert all(stats.p01 >= 100 and 140 < stats.mean < 160 for stats in manifest.channel_stats)
    assert verify(storage).problems == ()


def test_whole_images_keep_their_nodata_out_as_well(tmp_path):
    pixels = np.full((*SIZE, 1), 7, np.float32)
    pixels[:40] = np.nan
    save(tmp_path / "images" / "a.tif", pixels, nodata=np.nan)
    save(tmp_path / "masks" / "a.tif", np.eye(*SIZE, dtype=np.uint8)[..., None])
    _, manifest, (sample,) = packed(tmp_path, PackOptions(val=0, test=0))
    assert (sample.mask[:40] == IGNORE).all()
    assert (sample.image == 7).all()
    assert (manifest.channel_stats[0].mean, manifest.channel_stats[0].std) == (7, 0)


def test_a_resized_image_has_the_place_of_its_larger_pixels(tmp_path):
    save(tmp_path / "images" / "a.tif", np.zeros((*SIZE, 1), np.uint8))
    save(tmp_path / "masks" / "a.tif", np.eye(*SIZE, dtype=np.uint8)[..., None])
    _, _, (sample,) = packed(tmp_path, PackOptions(val=0, test=0, size_px=50))
    assert sample.space.transform == pytest.approx((22, 0, 0, 0, -30, 0))
    assert sample.space.spacing == pytest.approx((30, 22))


def test_a_raster_too_large_for_a_sample_asks_for_tiles(tmp_path, monkeypatch):
    save(tmp_path / "images" / "a.tif", np.zeros((*SIZE, 1), np.uint8))
    save(tmp_path / "masks" / "a.tif", np.eye(*SIZE, dtype=np.uint8)[..., None])
    for module in ("unetpp.data.images.header", "unetpp.data.pack.read_pair"):
        monkeypatch.setattr(f"{module}.MAX_PIXELS", 5000)
    monkeypatch.setattr(boxes, "_STRIP_BYTES", 1000)
    with pytest.raises(InputError, match="pack tiles with --tile 512"):
        packed(tmp_path, PackOptions(val=0, test=0))
    assert len(packed(tmp_path)[2]) == 20


def test_a_file_damaged_in_the_middle_leaves_no_half_image(tmp_path):
    random = np.random.default_rng(0)
    for name in ("a", "b"):
        save(tmp_path / "images" / f"{name}.tif", random.integers(0, 255, (*SIZE, 1), np.uint8))
        save(tmp_path / "masks" / f"{name}.tif", np.eye(*SIZE, dtype=np.uint8)[..., None])
    path = tmp_path / "images" / "a.tif"
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
    folder = SourceFolder(str(tmp_path / "images"), str(tmp_path / "masks"))
    result = pack([folder], str(tmp_path / "out"), TILES)
    assert {"truncated or damaged" in r.reason for r in result.rejections} == {True}
    storage = open_storage(str(tmp_path / "out"))
    assert {s.source for s in iter_samples(storage, load_manifest(storage), "train")} == {"b.tif"}


def test_strips_cover_a_raster_in_whole_blocks():
    class Raster:
        block_px = (16, 16)
        header = geotiff.Header(150, 110, 1, "uint8")

    for limit in (1, 5000, 10**9):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(boxes, "_STRIP_BYTES", limit)
            strips = list(boxes.strips_of(Raster()))
        assert [strip.top for strip in strips] == np.cumsum([0, *(s.height for s in strips)])[:-1].tolist()
        assert sum(strip.height for strip in strips) == 150
        assert all(strip.top % 16 == 0 for strip in strips)
        assert all(strip == Box(strip.top, 0, strip.height, 110) for strip in strips)
