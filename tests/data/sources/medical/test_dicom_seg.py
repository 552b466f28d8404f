"""DICOM SEG as masks: named segments at the pixels of the image they are of, and no others."""

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom.sr.codedict import codes

from dicom_files import write_series, write_slice
from unetpp.core.storage import open_storage
from unetpp.data.images.header import SampleError
from unetpp.data.pack.classes import ClassSpec
from unetpp.data.pack.masks.segments import segment_values
from unetpp.data.sources.files import FileRef
from unetpp.data.sources.raster import Space
from unetpp.data.sources.registry import list_sources, open_image, open_labels

VOLUME = np.zeros((5, 8, 6), np.int16)
LABELS = np.zeros((5, 8, 6), np.uint8)
LABELS[1:3, 2:5, 1:4] = 1
LABELS[2, 3, 2] = LABELS[4, 7, 5] = 2
SPEC = ClassSpec(task="multiclass", classes=("background", "liver", "tumour"))


def series(folder, **attributes):
    return [pydicom.dcmread(path) for path in write_series(folder, VOLUME, **attributes)]


def write_seg(path, slices, labels, names=("liver", "tumour"), kind="BINARY"):
    """Frames in the order of the slices."""
    segments = [
        highdicom.seg.SegmentDescription(i, name, codes.SCT.Tissue, codes.SCT.Tissue, "MANUAL")
        for i, name in enumerate(names, 1)
    ]
    seg = highdicom.seg.Segmentation(
        slices, labels, kind, segments, highdicom.UID(), 9, highdicom.UID(), 1, "m", "m", "1", "0"
    )
    path.parent.mkdir(exist_ok=True)
    seg.save_as(path)


def read_mask(folder, spec=SPEC):
    image_ref = next(ref for ref in list_sources(open_storage(str(folder / "images"))))
    (mask_ref,) = list_sources(open_storage(str(folder / "masks")))
    with open_image(image_ref) as image, open_labels(mask_ref) as mask:
        return mask.names, segment_values(mask, image, spec)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
def test_segments_lie_at_the_pixels_of_their_slices_whatever_their_order(tmp_path, kind):
    slices = series(tmp_path / "images/case")
    shuffled = [3, 0, 4, 1, 2]
    write_seg(tmp_path / "masks/case.dcm", [slices[i] for i in shuffled], LABELS[shuffled], kind=kind)
    names, values = read_mask(tmp_path)
    assert names == ("liver", "tumour")
    np.testing.assert_array_equal(values[..., 0], LABELS)


def test_segments_are_classes_by_name_not_by_number(tmp_path):
    write_seg(tmp_path / "masks/case.dcm", series(tmp_path / "images/case"), LABELS, ("tumour", "liver"))
    swapped = np.array([0, 2, 1], np.uint8)[LABELS]
    np.testing.assert_array_equal(read_mask(tmp_path)[1][..., 0], swapped)


def test_segment_that_the_classes_file_leaves_out_is_background_and_said(tmp_path, caplog):
    write_seg(tmp_path / "masks/case.dcm", series(tmp_path / "images/case"), LABELS, ("liver", "vessel-x"))
    _, values = read_mask(tmp_path)
    np.testing.assert_array_equal(values[..., 0], LABELS == 1)
    assert "vessel-x are not in the classes file" in caplog.text


def test_segmentation_of_a_part_of_the_slices_lies_where_they_do(tmp_path):
    slices = series(tmp_path / "images/case")
    write_seg(tmp_path / "masks/case.dcm", slices[1:3], LABELS[1:3])
    values = read_mask(tmp_path)[1][..., 0]
    np.testing.assert_array_equal(values[1:3], LABELS[1:3])
    assert not values[3:].any()


def test_segmentation_of_another_series_is_refused(tmp_path):
    series(tmp_path / "images/case")
    write_seg(tmp_path / "masks/case.dcm", series(tmp_path / "other"), LABELS)
    with pytest.raises(SampleError, match="refers to another series"):
        read_mask(tmp_path)


def test_overlapping_segments_need_a_multilabel_task(tmp_path):
    both = np.stack([LABELS > 0, LABELS == 2], axis=-1).astype(np.uint8)
    write_seg(tmp_path / "masks/case.dcm", series(tmp_path / "images/case"), both)
    with pytest.raises(SampleError, match="segments overlap; a classes file with task: multilabel"):
        read_mask(tmp_path)
    spec = ClassSpec(task="multilabel", classes=("liver", "tumour"))
    np.testing.assert_array_equal(read_mask(tmp_path, spec)[1], both)


def test_probabilities_are_refused_as_labels(tmp_path):
    write_seg(
        tmp_path / "masks/case.dcm",
        series(tmp_path / "images/case"),
        (LABELS > 0).astype(float) / 2,
        ("liver",),
        kind="FRACTIONAL",
    )
    with pytest.raises(SampleError, match="FRACTIONAL segmentation holds no labels"):
        read_mask(tmp_path)


def test_segmentation_of_a_series_on_one_of_its_slices_is_that_slices_part(tmp_path):
    slices = series(tmp_path / "all/case", SeriesInstanceUID="1.2.9")
    write_seg(tmp_path / "masks/case.dcm", slices, LABELS)
    (tmp_path / "images").mkdir()
    slices[2].save_as(tmp_path / "images/case.dcm")
    np.testing.assert_array_equal(read_mask(tmp_path)[1][..., 0], LABELS[2])


def test_segmentation_off_the_grid_or_beyond_the_image_is_refused(tmp_path):
    slices = series(tmp_path / "images/case")
    write_seg(tmp_path / "masks/case.dcm", slices, LABELS)
    (image_ref,) = list_sources(open_storage(str(tmp_path / "images")))
    with open_image(image_ref) as image, open_labels(FileRef(str(tmp_path / "masks"), "case.dcm")) as mask:
        for shift, reason in ((0.4, "voxels off the image's grid"), (2.0, "reaches beyond the image")):
            affine = np.array(image.space.affine) @ np.array(
                [[1, 0, 0, 0], [0, 1, 0, shift], [0, 0, 1, 0], [0, 0, 0, 1]]
            )
            with pytest.raises(SampleError, match=reason):
                mask.drawn_on(Moved(image, affine), ["liver"])


class Moved:
    """An image at another place."""

    def __init__(self, image, affine):
        self.header, self.space = image.header, Space((1, 1, 1), "mm", tuple(map(tuple, affine)))


def test_segmentation_is_no_image(tmp_path):
    write_seg(tmp_path / "masks/case.dcm", series(tmp_path / "images/case"), LABELS)
    with (
        pytest.raises(SampleError, match="DICOM SEG is no image"),
        open_image(FileRef(str(tmp_path / "masks"), "case.dcm")),
    ):
        pass


def test_mask_of_plain_dicom_slices_is_its_stored_values(tmp_path):
    for index, plane in enumerate(LABELS):
        write_slice(tmp_path / "case" / str(index), plane, ImagePositionPatient=[0, 0, index])
    (ref,) = list_sources(open_storage(str(tmp_path)))
    with open_labels(ref) as mask:
        np.testing.assert_array_equal(mask.read().values[..., 0], LABELS)
