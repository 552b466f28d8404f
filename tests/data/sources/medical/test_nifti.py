"""NIfTI files of every orientation, type and coding."""

import gzip
import logging
from itertools import permutations, product

import nibabel
import numpy as np
import pytest

from unetpp.data.images.header import SampleError
from unetpp.data.sources.files import FileRef, UnreadFileError
from unetpp.data.sources.medical.orientation import orientation_of
from unetpp.data.sources.registry import open_image, open_labels

ORIENTATIONS = [
    (order, signs) for order in permutations(range(3)) for signs in product((1.0, -1.0), repeat=3)
]


@pytest.fixture
def nifti(tmp_path):
    """Write a NIfTI file and return its reference."""

    def write(values, affine=None, name="a.nii.gz", kind=nibabel.Nifti1Image, **header):
        image = kind(values, np.diag([-1.0, -1, 1, 1]) if affine is None else affine)
        for key, value in header.items():
            image.header[key] = value
        image.to_filename(tmp_path / name)
        return FileRef(str(tmp_path), name)

    return write


def read(ref):
    with open_image(ref) as raster:
        return raster.header, raster.space, raster.read().values


def test_nifti_of_lps_axes_is_z_y_x(nifti):
    values = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)  # x, y, z
    header, space, volume = read(nifti(values, np.diag([-0.5, -0.7, 3.0, 1.0])))
    assert (header.planes, header.height, header.width, header.channels) == (4, 3, 2, 1)
    np.testing.assert_array_equal(volume[..., 0], values.transpose())
    assert space.spacing == pytest.approx((3.0, 0.7, 0.5))
    assert space.unit == "mm"


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS)
def test_nifti_of_any_orientation_holds_the_same_voxels_at_the_same_places_and_leads_back(
    nifti, order, signs
):
    random = np.random.default_rng(sum(order[:2]))
    shape, spacing = (3, 4, 5), (0.5, 1.25, 3.0)
    tilt = np.linalg.qr(np.eye(3) + 0.1 * random.standard_normal((3, 3)))[0]
    tilt *= np.sign(np.diag(tilt))
    affine = np.eye(4)
    for stored, world in enumerate(order):
        affine[:3, stored] = tilt[:, world] * signs[stored] * spacing[stored]
    affine[:3, 3] = random.standard_normal(3) * 50
    values = np.arange(60, dtype=np.uint8).reshape(shape)
    header, space, volume = read(nifti(values, affine, "a.nii"))
    assert volume.shape == (header.planes, header.height, header.width, 1)
    canonical = np.array(space.affine)
    # Canonical axes: up, to the back, to the left.
    towards = [canonical[world, axis] * sign for axis, (world, sign) in enumerate([(2, 1), (1, -1), (0, -1)])]
    assert min(towards) > 0
    for index in np.ndindex(shape):
        place = affine @ [*index, 1]
        z, y, x, _ = np.rint(np.linalg.solve(canonical, place)).astype(int)
        np.testing.assert_allclose(canonical @ [z, y, x, 1], place, atol=1e-4)
        assert volume[z, y, x, 0] == values[index]
    orientation = orientation_of(affine)
    np.testing.assert_allclose(canonical, orientation.affine(affine, shape), atol=1e-4)
    np.testing.assert_array_equal(orientation.to_stored(volume)[..., 0], values)


@pytest.mark.parametrize(
    ("stored", "expected"),
    [("uint8", "uint8"), ("uint16", "float32"), ("int16", "float32"), (">i2", "float32"), (">u2", "float32"),
     ("float32", "float32"), ("float64", "float32"), ("int32", "float32")],
)  # fmt: skip
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_nifti_types_and_byte_orders_become_canonical(nifti, stored, expected, kind):
    values = np.arange(60).reshape(3, 4, 5).astype(stored)
    image = kind(
        values, np.diag([-1.0, -1, 1, 1]), kind.header_class(endianness=values.dtype.str[0].replace("|", "<"))
    )
    image.set_data_dtype(values.dtype)
    ref = nifti(values)
    image.to_filename(f"{ref.root}/{ref.path}")
    header, _, volume = read(ref)
    assert (header.dtype, volume.dtype.name) == (expected, expected)
    assert volume.dtype.isnative
    np.testing.assert_array_equal(volume[..., 0], values.transpose())


def test_nifti_slope_and_intercept_are_applied(nifti):
    ref = nifti(np.linspace(-1000, 1000, 60).reshape(3, 4, 5), name="a.nii")
    raw = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    image = nibabel.Nifti1Image(raw, np.eye(4))
    image.header.set_slope_inter(2.0, -1024.0)
    image.to_filename(f"{ref.root}/a.nii")
    header, _, volume = read(ref)
    assert header.dtype == "float32"
    assert (volume.min(), volume.max()) == (-1024, 59 * 2 - 1024)


@pytest.mark.parametrize("stored", ["float32", "float64", "uint8", "int16", "int64"])
def test_mask_of_whole_numbers_is_labels_whatever_its_type(nifti, stored):
    labels = np.random.default_rng(0).integers(0, 5, (3, 4, 5))
    with open_labels(_save(nifti, labels, stored)) as mask:
        values = mask.read().values
    assert values.dtype == np.uint8
    np.testing.assert_array_equal(values[..., 0], labels.transpose())


def _save(nifti, labels, stored):
    ref = nifti(labels.astype(np.uint8), name="m.nii")
    image = nibabel.Nifti1Image(labels.astype(stored), np.diag([-1.0, -1, 1, 1]), dtype=stored)
    image.to_filename(f"{ref.root}/{ref.path}")
    return ref


def test_mask_stretched_by_a_slope_reads_as_the_labels_it_was_saved_from(nifti):
    # nibabel scales float labels that are saved as an integer type: 1 becomes 1.0000153.
    labels = np.random.default_rng(0).integers(0, 4, (3, 4, 5))
    ref = nifti(np.zeros((1, 1, 1), np.uint8), name="m.nii")
    image = nibabel.Nifti1Image(labels.astype(np.float32), np.diag([-1.0, -1, 1, 1]))
    image.set_data_dtype(np.int16)
    image.to_filename(f"{ref.root}/m.nii")
    with open_labels(ref) as mask:
        np.testing.assert_array_equal(mask.read().values[..., 0], labels.transpose())


@pytest.mark.parametrize(("value", "said"), [(-1.0, "-1"), (70000.0, "70000")])
def test_mask_of_other_numbers_is_refused_by_the_value(nifti, value, said):
    values = np.zeros((3, 4, 5), np.float32)
    values[1, 1, 1] = value
    with open_labels(nifti(values)) as mask, pytest.raises(SampleError, match=said):
        mask.read()


@pytest.mark.parametrize("value", [0.5, np.nan])
def test_mask_that_is_not_whole_keeps_its_numbers_for_packing_to_judge(nifti, value):
    values = np.zeros((3, 4, 5), np.float32)
    values[1, 1, 1] = value
    with open_labels(nifti(values)) as mask:
        np.testing.assert_array_equal(mask.read().values[..., 0], values.transpose())


def test_nifti_channels_lie_on_the_last_axis(nifti):
    values = np.random.default_rng(0).integers(0, 200, (3, 4, 5, 2)).astype(np.uint8)
    header, _, volume = read(nifti(values))
    assert header.channels == 2
    np.testing.assert_array_equal(volume, values.transpose(2, 1, 0, 3))


def test_nifti_vector_on_the_fifth_axis_is_channels(nifti):
    values = np.random.default_rng(0).integers(0, 200, (3, 4, 5, 1, 2)).astype(np.uint8)
    np.testing.assert_array_equal(read(nifti(values))[2], values[:, :, :, 0].transpose(2, 1, 0, 3))


def test_nifti_of_one_slice_is_a_volume_of_one_plane(nifti):
    header, _, volume = read(nifti(np.zeros((6, 7), np.uint8)))
    assert volume.shape == (1, 7, 6, 1)
    assert header.planes == 1


def test_nifti_rgb_is_three_channels(nifti):
    values = np.zeros((3, 4, 5), np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))
    values["G"] = 7
    header, _, volume = read(nifti(values))
    assert (header.channels, header.dtype) == (3, "uint8")
    assert volume[0, 0, 0].tolist() == [0, 7, 0]


def test_time_series_is_refused_with_what_to_do(nifti):
    values = np.zeros((3, 4, 5, 6), np.int16)
    image = nibabel.Nifti1Image(values, np.eye(4))
    image.header.set_xyzt_units("mm", "sec")
    image.header["pixdim"][4] = 2.5
    ref = nifti(values, name="a.nii")
    image.to_filename(f"{ref.root}/a.nii")
    with pytest.raises(SampleError, match=r"time series of 6 volumes every 2.5 s; save one"), open_image(ref):
        pass


def test_qform_and_sform_that_disagree_are_named_and_the_sform_is_used(nifti, caplog):
    image = nibabel.Nifti1Image(np.zeros((3, 4, 5), np.uint8), None)
    image.set_sform(np.diag([-1.0, -1, 1, 1]), code=1)
    other = np.diag([-1.0, -1, 1, 1])
    other[0, 3] = 10
    image.set_qform(other, code=2)
    ref = nifti(np.zeros((1, 1, 1), np.uint8), name="conflict.nii")
    image.to_filename(f"{ref.root}/{ref.path}")
    with caplog.at_level(logging.WARNING):
        _, space, _ = read(ref)
    assert "qform (code 2) and sform (code 1); the sform is used" in caplog.text
    assert np.array(space.affine)[0, 3] == 0  # 10 by the qform


def test_affine_that_is_no_grid_is_refused(nifti):
    affine = np.diag([1.0, 1, 0, 1])
    image = nibabel.Nifti1Image(np.zeros((3, 4, 5), np.uint8), None)
    image.header["sform_code"] = 1
    image.header["srow_x"], image.header["srow_y"], image.header["srow_z"] = affine[:3]
    ref = nifti(np.zeros((1, 1, 1), np.uint8), name="a.nii")
    image.to_filename(f"{ref.root}/{ref.path}")
    with pytest.raises(SampleError, match="affine is no grid"), open_image(ref):
        pass


def test_affine_in_micrometres_is_said_in_millimetres(nifti):
    image = nibabel.Nifti1Image(np.zeros((3, 4, 5), np.uint8), np.diag([-500.0, -500, 500, 1]))
    image.header.set_xyzt_units("micron")
    ref = nifti(np.zeros((1, 1, 1), np.uint8), name="a.nii")
    image.to_filename(f"{ref.root}/{ref.path}")
    assert read(ref)[1].spacing == pytest.approx((0.5, 0.5, 0.5))


def test_bomb_is_refused_by_its_header(nifti, tmp_path):
    image = nibabel.Nifti1Image(np.zeros((2, 2, 2), np.uint8), np.eye(4))
    image.header.set_data_shape((2000, 2000, 1000))
    (tmp_path / "bomb.nii.gz").write_bytes(gzip.compress(image.header.binaryblock + bytes(4)))
    with (
        pytest.raises(SampleError, match="decompression bomb"),
        open_image(FileRef(str(tmp_path), "bomb.nii.gz")),
    ):
        pass


def test_missing_file_is_unread_not_damaged(tmp_path):
    with pytest.raises(UnreadFileError), open_image(FileRef(str(tmp_path), "none.nii")):
        pass


def test_shipped_files_of_other_makers_read_as_nibabel_reads_them():
    data = nibabel.__path__[0] + "/tests/data"
    for name in ("anatomical.nii", "example_nifti2.nii.gz"):
        ref, loaded = FileRef(data, name), nibabel.load(f"{data}/{name}")
        if loaded.ndim == 3:
            _, _, volume = read(ref)
            assert sorted(volume.ravel()) == sorted(np.float32(loaded.get_fdata()).ravel())
    with pytest.raises(SampleError, match="time series"), open_image(FileRef(data, "example4d.nii.gz")):
        pass
