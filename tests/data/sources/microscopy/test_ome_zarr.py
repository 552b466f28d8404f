"""OME-Zarr 0.4 and 0.5 as one image each, with their labels, from folders and buckets."""

import shutil

import numpy as np
import pytest
import zarr

from unetpp.core.errors import InputError
from unetpp.core.storage import Storage, open_storage
from unetpp.data.dataset.manifests import load_manifest
from unetpp.data.dataset.parquet import iter_samples
from unetpp.data.images.header import SampleError
from unetpp.data.pack.discover import SourceFolder
from unetpp.data.pack.options import PackOptions
from unetpp.data.pack.pack import pack
from unetpp.data.sources.raster import Box, Space
from unetpp.data.sources.registry import list_sources, open_image, open_labels
from unetpp.inference.inputs import find_images

VERSIONS = ["0.4", "0.5"]


def noise(*shape, dtype=np.uint16):
    return np.random.default_rng(1).integers(0, 200, shape).astype(dtype)


def multiscales(axes, scale, unit):
    space = {"type": "space", **({"unit": unit} if unit else {})}
    kinds = {"t": {"type": "time"}, "c": {"type": "channel"}}
    transform = [{"type": "scale", "scale": scale}]
    return {
        "axes": [{"name": axis, **kinds.get(axis, space)} for axis in axes],
        "datasets": [
            {"path": "0", "coordinateTransformations": transform},
            {"path": "1", "coordinateTransformations": transform},
        ],
    }


def write(path, array, axes, version="0.5", scale=None, unit="micrometer", group=""):
    """An image or label image with two levels."""
    zarr_format = 2 if version == "0.4" else 3
    found = {"multiscales": [multiscales(axes, scale or [1.0] * len(axes), unit)]}
    attributes = found if version == "0.4" else {"ome": {"version": version, **found}}
    root = zarr.open_group(str(path), path=group or None, mode="a", zarr_format=zarr_format)
    root.attrs.update(attributes)
    chunks = tuple(max(1, size // 2) for size in array.shape)
    root.create_array("0", data=array, chunks=chunks)
    root.create_array("1", data=array[..., ::2, ::2], chunks=chunks)
    return path


def only(folder):
    (ref,) = list_sources(Storage(str(folder)))
    return ref


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("axes", "shape", "expected"),
    [
        ("yx", (12, 10), (12, 10, 1)),
        ("cyx", (3, 12, 10), (12, 10, 3)),
        ("zyx", (4, 12, 10), (4, 12, 10, 1)),
        ("czyx", (2, 4, 12, 10), (4, 12, 10, 2)),
        ("tczyx", (1, 2, 4, 12, 10), (4, 12, 10, 2)),
        ("tczyx", (1, 2, 1, 12, 10), (12, 10, 2)),
    ],
)
def test_full_resolution_is_read_with_planes_and_channels(tmp_path, version, axes, shape, expected):
    array = noise(*shape)
    write(tmp_path / "a.ome.zarr", array, axes, version)
    ref = only(tmp_path)
    assert ref.path == "a.ome.zarr"
    with open_image(ref) as raster:
        values = raster.read().values
        assert values.shape == expected
        squeezed = array[0] if axes[0] == "t" else array
        last = np.moveaxis(squeezed, 0, -1) if "c" in axes else squeezed[..., None]
        np.testing.assert_array_equal(values, last[0] if last.ndim > len(expected) else last)
        window = raster.read(Box(3, 2, 5, 6)).values
        np.testing.assert_array_equal(window, values[..., 3:8, 2:8, :])
        assert raster.header.channels == expected[-1]
        if len(expected) == 4:
            block = raster.read(Box(3, 2, 5, 6, 1, 2)).values
            np.testing.assert_array_equal(block, values[1:3, 3:8, 2:8])


@pytest.mark.parametrize("version", VERSIONS)
def test_pixel_sizes_are_kept_in_micrometres(tmp_path, version):
    write(
        tmp_path / "a.zarr", noise(4, 12, 10), "zyx", version, scale=[2000.0, 500.0, 250.0], unit="nanometer"
    )
    with open_image(only(tmp_path)) as raster:
        assert (raster.space.unit, raster.space.spacing) == ("um", pytest.approx((2.0, 0.5, 0.25)))
    shutil.rmtree(tmp_path / "a.zarr")
    write(tmp_path / "b.zarr", noise(12, 10), "yx", version, scale=[2.0, 2.0], unit="")
    with open_image(only(tmp_path)) as raster:
        assert raster.space == Space()


@pytest.mark.parametrize("version", VERSIONS)
def test_time_points_and_several_images_are_refused(tmp_path, version):
    path = write(tmp_path / "a.zarr", noise(3, 12, 10), "tyx", version)
    with pytest.raises(SampleError, match="3 time points"), open_image(only(tmp_path)) as raster:
        raster.read()
    group = zarr.open_group(str(path), mode="a")
    holder = dict(group.attrs) if version == "0.4" else dict(group.attrs["ome"])
    holder["multiscales"] = holder["multiscales"] * 2
    group.attrs.update(holder if version == "0.4" else {"ome": holder})
    with pytest.raises(SampleError, match="holds 2 images"), open_image(only(tmp_path)) as raster:
        raster.read()


@pytest.mark.parametrize("place", ["folder", "bucket"])
@pytest.mark.parametrize("version", VERSIONS)
def test_images_with_a_labels_group_are_packed_and_predicted_from_one_folder(tmp_path, version, place):
    folder = tmp_path / "images"
    truth = (noise(12, 10) > 100).astype(np.uint8)
    for name in ("a", "b"):
        path = write(folder / f"{name}.ome.zarr", noise(2, 12, 10), "cyx", version)
        zarr.open_group(str(path), path="labels", mode="a", zarr_format=2 if version == "0.4" else 3)
        write(path, truth, "yx", version, group="labels/cells")
    uri = str(folder)
    if place == "bucket":
        uri, remote = f"memory://zarr-{version}", open_storage(f"memory://zarr-{version}")
        for file in folder.rglob("*"):
            if file.is_file():
                remote.write(str(file.relative_to(folder)), file.read_bytes())
    result = pack([SourceFolder(uri, uri)], str(tmp_path / "out"), PackOptions(val=0, test=0))
    storage = Storage(str(tmp_path / "out"))
    found = list(iter_samples(storage, load_manifest(storage), "train"))
    assert sorted(sample.sample_id for sample in found) == ["a", "b"]
    assert (result.manifest.channels, found[0].space.unit) == (2, "um")
    for sample in found:
        np.testing.assert_array_equal(sample.mask, truth)
    images = find_images(uri).images
    assert [image.name for image in images] == ["a.ome.zarr", "b.ome.zarr"]
    assert find_images(f"{uri}/a.ome.zarr").images == images[:1]


def test_several_label_images_are_refused(tmp_path):
    path = write(tmp_path / "a.zarr", noise(12, 10), "yx")
    for name in ("cells", "nuclei"):
        write(path, noise(12, 10), "yx", group=f"labels/{name}")
    with pytest.raises(SampleError, match="several label images, cells, nuclei"), open_labels(only(tmp_path)):
        pass


@pytest.mark.parametrize("version", VERSIONS)
def test_damaged_files_raise_user_errors_only(tmp_path, version):
    good = write(tmp_path / "good" / "a.zarr", noise(12, 10), "yx", version)
    generator = np.random.default_rng(2)
    files = sorted(path.relative_to(good) for path in good.rglob("*") if path.is_file())
    for attempt in range(40):
        folder = tmp_path / str(attempt)
        shutil.copytree(good, folder / "a.zarr")
        path = folder / "a.zarr" / files[attempt % len(files)]
        data = bytearray(path.read_bytes())
        for _ in range(generator.integers(1, 4)):
            data[generator.integers(len(data))] = generator.choice(list(b'0123456789[]{}",:-ax'))
        path.write_bytes(bytes(data))
        if attempt % 5 == 0:
            path.unlink()
        for ref in list_sources(Storage(str(folder))):
            try:
                with open_image(ref) as raster:
                    header, values = raster.header, raster.read().values
            except InputError:
                continue
            assert values.shape[-3:] == (header.height, header.width, header.channels)
