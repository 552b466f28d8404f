"""GeoTIFF through rasterio: the pixels of the plain reader, and places, nodata and windows."""

import logging
from dataclasses import replace

import numpy as np
import pytest
import rasterio
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.enums import ColorInterp
from rasterio.transform import Affine, from_origin

from unetpp.data.images.decode import read_header, read_image, read_mask
from unetpp.data.images.header import SampleError, UndecidedError
from unetpp.data.images.pixels import Reading, complete
from unetpp.data.sources.files import FileRef, UnreadFileError
from unetpp.data.sources.geo import choose, geotiff
from unetpp.data.sources.raster import Box, Windowed
from unetpp.data.sources.registry import open_image, open_labels

TRANSFORMS = {
    "north up": from_origin(5e5, 4e6, 10, 10),
    "south up": Affine(10, 0, 5e5, 0, 10, 4e6),
    "rotated": Affine.translation(5e5, 4e6) @ Affine.rotation(30) @ Affine.scale(10, -20),
    "mirrored": Affine(-10, 0, 5e5, 0, -10, 4e6),
}


@settings(max_examples=25)
@given(
    dtype=st.sampled_from(["uint8", "uint16", "int8", "int16", "int32", "uint32", "float32", "float64"]),
    channels=st.sampled_from([1, 2, 3, 5]),
    options=st.sampled_from(
        [{}, {"tile": (16, 16)}, {"compression": "zlib", "predictor": True}, {"bigtiff": True},
         {"byteorder": ">"}, {"planarconfig": "separate"}, {"photometric": "miniswhite"}]
    ),
    seed=st.integers(0, 2**16),
)  # fmt: skip
def test_both_readers_give_the_same_pixels(tmp_path_factory, dtype, channels, options, seed):
    if options.get("photometric") == "miniswhite" and (channels > 1 or dtype not in ("uint8", "uint16")):
        options = {}
    if channels == 1 or "planarconfig" not in options:
        options = {key: value for key, value in options.items() if key != "planarconfig"}
    folder = tmp_path_factory.mktemp("plain")
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 100, (21, 34, channels)).astype(dtype)
    stored = np.moveaxis(pixels, -1, 0) if "planarconfig" in options else pixels
    photometric = {"photometric": "minisblack"} | options
    kind = {"planarconfig": "contig"} | photometric if channels > 1 else photometric
    tifffile.imwrite(folder / "a.tif", stored[..., 0] if channels == 1 else stored, metadata=None, **kind)
    ref, data = FileRef(str(folder), "a.tif"), (folder / "a.tif").read_bytes()
    with geotiff.open_image(ref) as raster:
        assert raster.header == read_header(data)
        np.testing.assert_array_equal(raster.read().values, read_image(data).values)
        assert raster.read().valid is None
        assert raster.read(Box(3, 5, 7, 11)).values.tolist() == read_image(data).values[3:10, 5:16].tolist()
    with geotiff.open_labels(ref) as labels:
        np.testing.assert_array_equal(labels.read().values, read_mask(data).values)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_place_is_kept_and_that_of_a_part_is_its_own(save_geo, name):
    transform = TRANSFORMS[name]
    ref = save_geo("a.tif", np.zeros((20, 30, 4), np.uint16), transform=transform)
    with open_image(ref) as raster:
        assert isinstance(raster, Windowed)
        space = raster.space
    np.testing.assert_allclose(space.transform, transform[:6])
    assert rasterio.CRS.from_wkt(space.crs) == rasterio.CRS.from_epsg(32616)
    assert space.unit == "metre"
    assert space.spacing == pytest.approx((20, 10) if name == "rotated" else (10, 10))
    part = Affine(*space.of_part(4, 7).transform)
    np.testing.assert_allclose(part @ (0, 0), transform @ (7, 4))
    np.testing.assert_allclose(part @ (2, 3), transform @ (9, 7))
    np.testing.assert_allclose(Affine(*space.scaled(2, 3).transform) @ (1, 1), transform @ (3, 2))


@pytest.mark.parametrize(
    ("dtype", "nodata", "expected"),
    [
        ("int16", -9999, [[0, 0], [1, 1]]),  # one band is enough
        ("float32", -9999.9, [[0, 0], [1, 1]]),  # written as decimal text
        ("float32", float("nan"), [[0, 0], [1, 1]]),
        ("float64", -1.7976931348623157e308, [[0, 0], [1, 1]]),
        ("int16", 0, [[0, 0], [1, 1]]),
        ("uint16", 65535, [[0, 1], [1, 1]]),  # a colour too, unless every band has it
        ("uint16", 0, [[0, 1], [1, 1]]),
        ("uint8", 0, [[0, 1], [1, 1]]),
        ("uint8", 255, [[0, 1], [1, 1]]),
    ],
)
def test_nodata_is_no_data(save_geo, dtype, nodata, expected):
    pixels = np.full((2, 2, 2), 7, dtype)
    pixels[0, 0] = nodata
    pixels[0, 1, 0] = nodata
    with open_image(save_geo("a.tif", pixels, nodata=nodata)) as raster:
        found = raster.read()
        assert found.valid is not None
        assert found.valid.astype(int).tolist() == expected
        assert raster.read(Box(1, 0, 1, 2)).valid is None
        assert raster.header.may_lack_data
        filled = complete(found, Reading()).values
        assert np.isfinite(filled).all()
        assert (filled[~found.valid] != nodata).all()


def test_nan_without_nodata_is_left_to_what_was_said_of_it(save_geo):
    pixels = np.zeros((4, 4, 1), np.float32)
    pixels[1, 1] = np.nan
    with open_image(save_geo("a.tif", pixels)) as raster:
        with pytest.raises(SampleError, match="NaN"):
            complete(raster.read(), Reading())
        valid = complete(raster.read(), Reading(nan="ignore")).valid
    assert valid is not None
    assert (~valid).sum() == 1


def test_near_infrared_tagged_as_alpha_is_asked_for(save_geo):
    pixels = np.random.default_rng(0).integers(1, 200, (4, 6, 4), np.uint8)
    ref = save_geo("a.tif", pixels, photometric="RGB", alpha="YES")
    with open_image(ref) as raster, pytest.raises(UndecidedError, match="--alpha keep"):
        raster.read()
    with open_image(replace(ref, reading=Reading(alpha="keep"))) as raster:
        np.testing.assert_array_equal(raster.read().values, pixels)
        assert raster.read().valid is None
    with open_image(replace(ref, reading=Reading(alpha="drop"))) as raster:
        np.testing.assert_array_equal(raster.read().values, pixels[..., :3])


def test_alpha_and_masks_inside_tell_where_data_is(save_geo):
    pixels = np.full((4, 6, 4), 9, np.uint8)
    pixels[..., 3] = 255
    pixels[0, :, 3] = 0
    interpretation = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]
    ref = save_geo("alpha.tif", pixels, photometric="RGB", alpha="YES")
    with rasterio.open(f"{ref.root}/{ref.path}") as file:
        assert list(file.colorinterp) == interpretation
    inside = save_geo("mask.tif", pixels[..., :3], mask=pixels[..., 3] != 0)
    for known in (ref, inside):
        with open_image(known) as raster:
            assert raster.header.channels == 3
            found = raster.read(Box(0, 0, 4, 6))
            assert found.valid is not None
            assert found.valid.all(axis=1).tolist() == [False, True, True, True]


def test_masks_keep_their_background_of_zero_and_ignore_another_nodata(save_geo):
    values = np.array([[0, 1], [2, 255]], np.uint8)[..., None]
    with open_labels(save_geo("a.tif", values, nodata=0)) as labels:
        assert labels.read().valid is None
        assert labels.read().values[..., 0].tolist() == [[0, 1], [2, 255]]
    with open_labels(save_geo("b.tif", values.astype(np.float32), nodata=255)) as labels:
        found = labels.read()
        assert found.values.dtype == np.uint16
        assert found.valid is not None
        assert found.valid.tolist() == [[True, True], [True, False]]


def test_palettes_are_colours_of_images_and_indices_of_masks(save_geo):
    ref = save_geo("a.tif", np.array([[0, 1], [1, 2]], np.uint8)[..., None])
    with rasterio.open(f"{ref.root}/{ref.path}", "r+") as file:
        file.write_colormap(1, {0: (0, 0, 0), 1: (10, 20, 30), 2: (1, 2, 3)})
    with open_image(ref) as raster:
        assert raster.header.channels == 3
        assert raster.read().values[1].tolist() == [[10, 20, 30], [1, 2, 3]]
    with open_labels(ref) as labels:
        assert labels.read().values[..., 0].tolist() == [[0, 1], [1, 2]]


def test_what_is_no_picture_is_refused(save_geo, tmp_path):
    with pytest.raises(SampleError, match="complex64 is no pixel type"):
        _header(save_geo("c.tif", np.zeros((3, 3, 1), np.complex64)))
    with pytest.raises(SampleError, match="channels=70"):
        _header(save_geo("m.tif", np.zeros((3, 3, 70), np.uint8)))
    ref = save_geo(
        "t.tif", np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8), compress="deflate"
    )
    data = (tmp_path / "t.tif").read_bytes()
    (tmp_path / "t.tif").write_bytes(data[: len(data) // 2])
    with pytest.raises(SampleError, match="truncated or damaged"), open_image(ref) as raster:
        raster.read()
    with pytest.raises(UnreadFileError), open_image(FileRef(str(tmp_path), "missing.tif")):
        pass


def test_several_images_in_a_file_are_refused(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for _ in range(2):
            file.write(np.zeros((8, 8), np.uint8), metadata=None)
    ref = FileRef(str(tmp_path), "a.tif")
    with pytest.raises(SampleError, match="holds 2 images"), geotiff.open_image(ref):
        pass


def test_without_rasterio_the_pixels_are_the_same_and_the_loss_is_said(save_geo, monkeypatch, caplog):
    ref = save_geo("a.tif", np.arange(48, dtype=np.uint8).reshape(4, 4, 3))
    with open_image(ref) as raster:
        expected = raster.read().values
    monkeypatch.setattr(choose, "_has_rasterio", lambda: False)
    choose._say_lost_place.cache_clear()
    with caplog.at_level(logging.WARNING), open_image(ref) as raster:
        np.testing.assert_array_equal(raster.read().values, expected)
        assert raster.space.crs == ""
    assert "pip install 'unetpp[geo]'" in caplog.text
    monkeypatch.setattr(choose, "MAX_PIXELS", 15)
    with pytest.raises(SampleError, match="needs rasterio"), open_image(ref):
        pass


def test_large_plain_files_are_read_by_windows_only(tmp_path, monkeypatch):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((64, 64), np.uint8), tile=(16, 16), metadata=None)
    ref = FileRef(str(tmp_path), "a.tif")
    with open_image(ref) as raster:
        assert not isinstance(raster, Windowed)
    monkeypatch.setattr(choose, "MAX_PIXELS", 1000)
    monkeypatch.setattr("unetpp.data.images.header.MAX_PIXELS", 1000)
    with open_image(ref) as raster:
        assert isinstance(raster, Windowed)
        assert raster.block_px == (16, 16)
        assert raster.header.height == 64
        assert raster.read(Box(0, 0, 30, 30)).values.shape == (30, 30, 1)
        with pytest.raises(SampleError, match="exceed the limit"):
            raster.read()


def test_one_giant_block_cannot_be_read_by_windows(save_geo, monkeypatch):
    monkeypatch.setattr(geotiff, "_MAX_BLOCK_BYTES", 2000)
    _header(save_geo("a.tif", np.zeros((256, 256, 1), np.uint8), blockysize=4))
    with pytest.raises(SampleError, match="TILED=YES"):
        _header(save_geo("b.tif", np.zeros((256, 256, 1), np.uint8), blockysize=256))


@pytest.mark.s3
def test_only_parts_are_asked_of_an_object_store(save_geo, s3_server, s3_env, monkeypatch):
    from unetpp.core.storage import Storage, open_storage

    pixels = np.random.default_rng(0).integers(0, 255, (1024, 1024, 3), np.uint8)
    ref = save_geo("a.tif", pixels, tiled=True, blockxsize=128, blockysize=128)
    storage = open_storage(s3_server.new_bucket())
    with open(f"{ref.root}/{ref.path}", "rb") as file:
        storage.write("a.tif", file.read())
    read = []
    original = Storage.read_range

    def counting(self, path, start, stop):
        read.append(stop - start)
        return original(self, path, start, stop)

    monkeypatch.setattr(Storage, "read_range", counting)
    monkeypatch.setattr(Storage, "read", lambda *_: pytest.fail("the whole file was read"))
    with open_image(FileRef(storage.uri, "a.tif")) as raster:
        found = raster.read(Box(500, 300, 64, 64)).values
    np.testing.assert_array_equal(found, pixels[500:564, 300:364])
    assert sum(read) < pixels.nbytes // 2


def _header(ref):
    with open_image(ref) as raster:
        return raster.header
