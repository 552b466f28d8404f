"""OME-TIFF and ImageJ files: axes, sizes of pixels, and what they must not be taken for."""

import numpy as np
import pytest
import tifffile

from unetpp.core.errors import InputError
from unetpp.data.images.header import SampleError
from unetpp.data.sources.files import FileRef
from unetpp.data.sources.raster import Box, Space
from unetpp.data.sources.registry import open_image, open_labels


def noise(*shape, dtype=np.uint16):
    return np.random.default_rng(1).integers(0, 200, shape).astype(dtype)


def read(path, opened=open_image):
    with opened(FileRef(str(path.parent), path.name)) as raster:
        return raster.header, raster.read().values, raster.space


def expected(array, axes):
    """Z H W C by the names of the axes."""
    named = dict(zip(axes, range(array.ndim), strict=True))
    order = [named[axis] for axis in "ZYXCS" if axis in named]
    moved = array.transpose(order)
    planes = 3 if "Z" in named else 2
    return moved.reshape(*moved.shape[:planes], -1)


@pytest.mark.parametrize(
    ("axes", "shape"),
    [
        ("ZYX", (4, 12, 9)),
        ("ZCYX", (4, 2, 12, 9)),
        ("CZYX", (2, 4, 12, 9)),
        ("ZYXS", (4, 12, 9, 3)),
        ("CYX", (2, 12, 9)),
        ("YX", (12, 9)),
        ("YXS", (12, 9, 3)),
    ],
)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_ome_axes_become_planes_and_channels(tmp_path, axes, shape, dtype):
    array = noise(*shape, dtype=dtype)
    options = {"photometric": "rgb"} if "S" in axes else {"photometric": "minisblack"}
    tifffile.imwrite(tmp_path / "a.ome.tif", array, ome=True, metadata={"axes": axes}, **options)
    header, values, _ = read(tmp_path / "a.ome.tif")
    np.testing.assert_array_equal(values, expected(array, axes))
    assert values.shape[:-1] == ((header.planes,) if header.planes else ()) + (header.height, header.width)
    assert (values.shape[-1], values.dtype.name) == (header.channels, header.dtype)


@pytest.mark.parametrize(
    ("axes", "shape"), [("ZYX", (4, 12, 9)), ("ZCYX", (4, 2, 12, 9)), ("CYX", (2, 12, 9))]
)
def test_imagej_axes_become_planes_and_channels(tmp_path, axes, shape):
    array = noise(*shape)
    tifffile.imwrite(tmp_path / "a.tif", array, imagej=True, metadata={"axes": axes})
    np.testing.assert_array_equal(read(tmp_path / "a.tif")[1], expected(array, axes))


@pytest.mark.parametrize("kind", ["ome", "imagej"])
def test_several_time_points_are_refused(tmp_path, kind):
    tifffile.imwrite(tmp_path / "a.tif", noise(3, 12, 9), metadata={"axes": "TYX"}, **{kind: True})
    with pytest.raises(InputError, match="3 time points"):
        read(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("unit", "factor"), [(None, 1.0), ("µm", 1.0), ("nm", 1e-3), ("mm", 1e3)], ids=["none", "um", "nm", "mm"]
)
@pytest.mark.parametrize("axes", ["YX", "ZYX"])
def test_ome_pixel_sizes_are_kept_in_micrometres(tmp_path, axes, unit, factor):
    shape = (4, 12, 9)[-len(axes) :]
    sizes = {"X": 0.25, "Y": 0.5, "Z": 2.0}
    metadata = {"axes": axes, **{f"PhysicalSize{axis}": sizes[axis] for axis in axes}}
    metadata |= {f"PhysicalSize{axis}Unit": unit for axis in axes if unit}
    tifffile.imwrite(tmp_path / "a.ome.tif", noise(*shape), ome=True, metadata=metadata)
    space = read(tmp_path / "a.ome.tif")[2]
    assert space.unit == "um"
    assert space.spacing == pytest.approx([factor * sizes[axis] for axis in axes])


def test_imagej_pixel_sizes_are_kept_in_micrometres(tmp_path):
    metadata = {"axes": "ZYX", "spacing": 2.0, "unit": "micron"}
    tifffile.imwrite(tmp_path / "a.tif", noise(4, 12, 9), imagej=True, resolution=(4, 2), metadata=metadata)
    space = read(tmp_path / "a.tif")[2]
    assert (space.unit, space.spacing) == ("um", pytest.approx((2.0, 0.5, 0.25)))


@pytest.mark.parametrize("metadata", [{}, {"PhysicalSizeX": 0.5}, {"PhysicalSizeX": 1, "PhysicalSizeY": 0}])
def test_without_the_size_of_every_axis_none_is_known(tmp_path, metadata):
    tifffile.imwrite(tmp_path / "a.ome.tif", noise(12, 9), ome=True, metadata={"axes": "YX", **metadata})
    assert read(tmp_path / "a.ome.tif")[2] == Space()


def test_several_images_in_a_file_are_refused(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as writer:
        writer.write(noise(12, 9), metadata={"axes": "YX"})
        writer.write(noise(6, 5), metadata={"axes": "YX"})
    with pytest.raises(SampleError, match="holds 2 images"):
        read(tmp_path / "a.ome.tif")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.uint32, np.float32])
def test_masks_keep_whole_numbers_of_any_type(tmp_path, dtype):
    array = noise(4, 12, 9, dtype=dtype)
    if np.dtype(dtype).itemsize > 2:
        array[0, 0, 0] = 70000
    tifffile.imwrite(tmp_path / "a.ome.tif", array, ome=True, metadata={"axes": "ZYX"})
    values = read(tmp_path / "a.ome.tif", open_labels)[1]
    np.testing.assert_array_equal(values[..., 0], array)


def test_a_block_is_cut_from_a_volume(tmp_path):
    array = noise(4, 12, 9)
    tifffile.imwrite(tmp_path / "a.ome.tif", array, ome=True, metadata={"axes": "ZYX"}, compression="zlib")
    with open_image(FileRef(str(tmp_path), "a.ome.tif")) as raster:
        np.testing.assert_array_equal(raster.read(Box(2, 3, 5, 4, 1, 2)).values[..., 0], array[1:3, 2:7, 3:7])


def test_damaged_files_raise_user_errors_only(tmp_path):
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(
        path, noise(4, 12, 9), ome=True, metadata={"axes": "ZYX", "PhysicalSizeX": 1.0}, compression="zlib"
    )
    good, generator = path.read_bytes(), np.random.default_rng(5)
    for attempt in range(80):
        data = bytearray(good)
        for _ in range(generator.integers(1, 6)):
            data[generator.integers(len(data))] = generator.integers(256)
        path.write_bytes(bytes(data[: generator.integers(len(data))] if attempt % 4 == 0 else data))
        for opened in (open_image, open_labels):
            try:
                header, values, _ = read(path, opened)
            except InputError:
                continue
            planes = (header.planes,) if header.planes else ()
            assert values.shape == (*planes, header.height, header.width, header.channels)
