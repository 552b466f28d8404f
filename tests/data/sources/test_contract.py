"""What every format keeps, tried on files of known pixels; a new row of the registry needs a maker here."""

import sys
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
import rasterio
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from rasterio.transform import from_origin

from dicom_files import write_series, write_slice
from unetpp.core.errors import InputError
from unetpp.core.storage import open_storage
from unetpp.data.sources.files import FileRef, UnreadFileError
from unetpp.data.sources.raster import Box, Space
from unetpp.data.sources.registry import FORMATS, format_of_ref, list_sources, open_image, open_labels

VOLUME = np.random.default_rng(0).integers(0, 200, (4, 9, 7, 1)).astype(np.uint8)
PICTURE = VOLUME[0]


def png(folder: Path) -> np.ndarray:
    Image.fromarray(PICTURE[..., 0]).save(folder / "a.png")
    return PICTURE


def tiff(folder: Path) -> np.ndarray:
    Image.fromarray(PICTURE[..., 0]).save(folder / "a.tif")
    return PICTURE


def geotiff(folder: Path) -> np.ndarray:
    profile = {"driver": "GTiff", "height": 9, "width": 7, "count": 1, "dtype": "uint8", "crs": "EPSG:32616"}
    with rasterio.open(folder / "a.tif", "w", **profile, transform=from_origin(5e5, 4e6, 10, 10)) as file:
        file.write(PICTURE[..., 0], 1)
    return PICTURE


def nifti(folder: Path) -> np.ndarray:
    stored = VOLUME[..., 0].transpose()
    nibabel.Nifti1Image(stored, np.diag([-1.0, -1, 2, 1])).to_filename(folder / "a.nii.gz")
    return VOLUME


def dicom_slice(folder: Path) -> np.ndarray:
    write_slice(folder / "a.dcm", PICTURE[..., 0])
    return PICTURE


def dicom_series(folder: Path) -> np.ndarray:
    write_series(folder / "a", VOLUME[..., 0])
    return VOLUME


def ome_zarr(folder: Path) -> np.ndarray:
    root = zarr.open_group(str(folder / "a.ome.zarr"), mode="w", zarr_format=3)
    axes = [{"name": axis, "type": "space"} for axis in "zyx"]
    root.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": [{"path": "0"}]}]}
    root.create_array("0", data=VOLUME[..., 0], chunks=(2, 5, 5))
    return VOLUME


MAKERS: dict[str, list[Callable[[Path], np.ndarray]]] = {
    "DICOM": [dicom_slice, dicom_series],
    "NIfTI": [nifti],
    "OME-Zarr": [ome_zarr],
    "TIFF": [tiff, geotiff],
    "picture": [png],
}
EVERY = [maker for makers in MAKERS.values() for maker in makers]


@pytest.fixture(params=EVERY, ids=lambda maker: maker.__name__)
def made(request, tmp_path):
    """A listed source and its pixels."""
    pixels = request.param(tmp_path)
    (ref,) = list_sources(open_storage(str(tmp_path)))
    return ref, pixels


def test_every_format_of_the_registry_is_tried():
    assert set(MAKERS) == {entry.name for entry in FORMATS}


def test_pixels_are_those_that_were_written_and_the_header_agrees(made):
    ref, pixels = made
    with open_image(ref) as raster:
        header = raster.header
        values = raster.read().values
    np.testing.assert_array_equal(values, pixels)
    planes = () if header.planes is None else (header.planes,)
    assert values.shape == (*planes, header.height, header.width, header.channels)
    assert values.dtype.name == header.dtype
    assert values.flags["C_CONTIGUOUS"]


def test_labels_are_the_stored_values(made):
    ref, pixels = made
    with open_labels(ref) as raster:
        np.testing.assert_array_equal(raster.read().values, pixels)


def test_box_is_a_part_of_the_whole(made):
    ref, pixels = made
    with open_image(ref) as raster:
        part = raster.read(Box(2, 1, 5, 3)).values
    np.testing.assert_array_equal(part, pixels[..., 2:7, 1:4, :])
    if pixels.ndim == 4:
        with open_image(ref) as raster:
            block = raster.read(Box(2, 1, 5, 3, front=1, planes=2)).values
        np.testing.assert_array_equal(block, pixels[1:3, 2:7, 1:4])


def test_space_survives_its_text_and_has_the_axes_of_the_pixels(made):
    ref, pixels = made
    with open_image(ref) as raster:
        assert Space.from_json(raster.space.to_json()) == raster.space
        assert len(raster.space.spacing) in (0, pixels.ndim - 1)


def test_source_in_a_store_reads_as_the_local_one(made, tmp_path):
    ref, pixels = made
    store = open_storage(f"memory://contract/{tmp_path.name}")
    for path in tmp_path.rglob("*"):
        if path.is_file():
            store.write(str(path.relative_to(tmp_path)), path.read_bytes())
    (stored,) = list_sources(store)
    assert (stored.path, stored.members) == (ref.path, ref.members)
    with open_image(ref) as local, open_image(stored) as remote:
        np.testing.assert_array_equal(remote.read().values, pixels)
        assert (remote.header, remote.space, remote.digest) == (local.header, local.space, local.digest)


def test_format_without_its_library_names_the_extra(made, monkeypatch):
    ref, _ = made
    entry = format_of_ref(ref)
    assert entry is not None
    for name in [name for name in sys.modules if name.startswith(entry.module)]:
        monkeypatch.delitem(sys.modules, name)
    for library in ("nibabel", "pydicom", "zarr"):
        monkeypatch.setitem(sys.modules, library, None)
    if entry.extra is None:
        with open_image(ref):
            return
    with pytest.raises(InputError, match=rf"pip install 'unetpp\[{entry.extra}\]'"), open_image(ref):
        pass


def test_digest_follows_the_content_alone(made, tmp_path):
    ref, _ = made
    with open_image(ref) as raster:
        digest = raster.digest
    with open_image(ref) as raster:
        assert raster.digest == digest
    path = tmp_path / (ref.members or (ref.path,))[0]
    path.write_bytes(path.read_bytes() + b"\0\0")
    with open_image(ref) as raster:
        assert raster.digest != digest


def test_missing_file_is_unread(made, tmp_path):
    ref, _ = made
    (tmp_path / (ref.members or (ref.path,))[-1]).unlink()
    with pytest.raises(UnreadFileError), open_image(ref) as raster:
        raster.read()


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damaged_bytes_are_refused_or_read_never_worse(made, tmp_path, data):
    ref, _ = made
    path = tmp_path / (ref.members or (ref.path,))[0]
    whole = path.read_bytes()
    cut = data.draw(st.integers(0, len(whole) - 1))
    damaged = bytearray(whole[:cut] if data.draw(st.booleans()) else whole)
    for _ in range(data.draw(st.integers(0, 3)) if damaged else 0):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        path.write_bytes(bytes(damaged))
        for read in (open_image, open_labels):
            try:
                with read(FileRef(ref.root, ref.path, ref.members, format=ref.format)) as raster:
                    raster.read()
            except InputError:
                pass
    finally:
        path.write_bytes(whole)
