"""Masks on the grid of their source, whichever way its axes run."""

import gzip
from itertools import permutations, product
from types import SimpleNamespace

import nibabel
import numpy as np
import pytest

from unetpp.core.storage import open_storage
from unetpp.data.sources.files import FileRef
from unetpp.data.sources.raster import Space
from unetpp.data.sources.registry import open_image, open_labels
from unetpp.inference.writers.registry import Segmented, write_mask

SHAPE = (3, 4, 5)


def written(folder, source, mask):
    ref = FileRef(str(folder), source)
    write_mask(Segmented((ref,), Space(), mask, SimpleNamespace()), open_storage(str(folder)), "m.nii.gz")
    return nibabel.load(folder / "m.nii.gz")


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("signs", list(product((1, -1), repeat=3)))
@pytest.mark.parametrize("coded", ["sform", "qform", "both"])
def test_mask_lies_where_its_image_does_in_any_orientation(tmp_path, order, signs, coded):
    affine = np.eye(4)
    affine[:3, :3] = np.diag([0.7, 1.3, 2.9])[:, order] * signs
    affine[:3, 3] = [-3.25, 14.5, 7]
    image = nibabel.Nifti1Image(np.zeros(SHAPE, np.int16), None)
    if coded != "qform":
        image.set_sform(affine, code=4)
    if coded != "sform":
        image.set_qform(affine, code=1)
    image.header.set_xyzt_units("mm")
    image.to_filename(tmp_path / "a.nii")
    with open_image(FileRef(str(tmp_path), "a.nii")) as opened:
        header, space = opened.header, opened.space
    mask = np.arange(60, dtype=np.uint8).reshape(header.planes, header.height, header.width)
    found = written(tmp_path, "a.nii", mask)
    source = nibabel.load(tmp_path / "a.nii")
    assert found.shape == SHAPE
    np.testing.assert_allclose(found.affine, source.affine, rtol=0, atol=1e-6)
    for field in ("qform_code", "sform_code", "xyzt_units"):
        assert found.header[field] == source.header[field]
    np.testing.assert_allclose(found.header["pixdim"][:4], source.header["pixdim"][:4])
    with open_labels(FileRef(str(tmp_path), "m.nii.gz")) as labels:
        np.testing.assert_array_equal(labels.read().values[..., 0], mask)
        np.testing.assert_allclose(labels.space.affine, space.affine, atol=1e-6)


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 1), (3, 4, 5, 2)])
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_mask_has_the_spatial_axes_of_its_source_alone_and_its_kind(tmp_path, shape, kind):
    kind(np.zeros(shape, np.float32), np.diag([-1.0, -1, 1, 1])).to_filename(tmp_path / "a.nii.gz")
    with open_image(FileRef(str(tmp_path), "a.nii.gz")) as opened:
        header = opened.header
    found = written(tmp_path, "a.nii.gz", np.ones((header.planes, header.height, header.width), np.uint8))
    assert (found.shape, type(found), found.get_data_dtype()) == (shape[:3], kind, np.uint8)
    assert found.get_fdata().min() == 1


def test_slope_and_words_of_the_source_are_not_taken_over(tmp_path):
    image = nibabel.Nifti1Image(np.zeros(SHAPE, np.int16), np.eye(4))
    image.header["descrip"], image.header["aux_file"] = b"DOE JOHN", b"doe"
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"DOE JOHN"))
    image.header.set_slope_inter(3, -1024)
    image.to_filename(tmp_path / "a.nii.gz")
    found = written(tmp_path, "a.nii.gz", np.full((5, 4, 3), 2, np.uint8))
    assert set(found.get_fdata().ravel()) == {2.0}
    assert b"doe" not in gzip.decompress((tmp_path / "m.nii.gz").read_bytes()).lower()


def test_same_mask_gives_the_same_bytes(tmp_path):
    nibabel.Nifti1Image(np.zeros(SHAPE, np.int16), np.eye(4)).to_filename(tmp_path / "a.nii.gz")
    mask = np.zeros((5, 4, 3), np.uint8)
    written(tmp_path, "a.nii.gz", mask)
    first = (tmp_path / "m.nii.gz").read_bytes()
    written(tmp_path, "a.nii.gz", mask)
    assert (tmp_path / "m.nii.gz").read_bytes() == first
