"""Series of every order, kind and coding, and what is refused for which reason."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from dicom_files import PATIENT, write_series, write_slice
from unetpp.core.storage import open_storage
from unetpp.data.images.header import SampleError
from unetpp.data.sources.registry import list_sources, open_image

RANDOM = np.random.default_rng(1)
VOLUME = RANDOM.integers(-1000, 3000, (5, 8, 6)).astype(np.int16)


def refs(folder):
    return list_sources(open_storage(str(folder)))


def read(folder):
    (ref,) = refs(folder)
    with open_image(ref) as image:
        return image.header, image.space, image.read().values


def refused(folder, reason):
    (ref,) = refs(folder)
    with pytest.raises(SampleError, match=reason) as error, open_image(ref) as image:
        image.read()
    assert not any(value in str(error.value) for value in PATIENT.values())


def test_series_is_a_volume_in_order_of_position_whatever_its_files_are_called(tmp_path):
    write_series(tmp_path / "case", VOLUME)
    header, space, values = read(tmp_path)
    assert (header.planes, header.height, header.width, header.dtype) == (5, 8, 6, "float32")
    np.testing.assert_array_equal(values[..., 0], VOLUME)
    assert space.spacing == (2.5, 0.5, 0.75)
    np.testing.assert_allclose(np.array(space.affine) @ [0, 0, 0, 1], [10, 20, 0, 1])


def test_series_written_from_head_to_foot_is_the_same_volume(tmp_path):
    write_series(tmp_path / "up", VOLUME)
    write_series(tmp_path / "down", VOLUME[::-1], spacing_mm=-2.5)
    with open_image(refs(tmp_path)[0]) as down, open_image(refs(tmp_path)[1]) as up:
        np.testing.assert_array_equal(down.read().values, up.read().values)


def test_coronal_series_has_the_axes_of_an_axial_one(tmp_path):
    # Rows run to the left, columns to the foot, slices to the back.
    for index, plane in enumerate(VOLUME):
        write_slice(
            tmp_path / "case" / str(index),
            plane,
            ImageOrientationPatient=[1, 0, 0, 0, 0, -1],
            ImagePositionPatient=[0, index * 3, 100],
        )
    _, space, values = read(tmp_path)
    assert values.shape == (8, 5, 6, 1)
    np.testing.assert_array_equal(values[..., 0], VOLUME[:, ::-1].transpose(1, 0, 2))
    assert space.spacing == (0.5, 3, 0.75)


def test_oblique_series_holds_each_pixel_at_its_place(tmp_path):
    turn = np.linalg.qr(np.eye(3) + 0.15 * RANDOM.standard_normal((3, 3)))[0]
    turn *= np.sign(np.diag(turn))
    across, down, normal = turn[:, 0], turn[:, 1], np.cross(turn[:, 0], turn[:, 1])
    start = np.array([-30.0, 12, 7])
    for index, plane in enumerate(VOLUME):
        write_slice(
            tmp_path / "case" / str(index),
            plane,
            ImageOrientationPatient=[f"{v:.10f}" for v in [*across, *down]],
            ImagePositionPatient=[f"{v:.10f}" for v in start + index * 2 * normal],
        )
    _, space, values = read(tmp_path)
    for slice_, row, column in np.ndindex(VOLUME.shape):
        place = start + slice_ * 2 * normal + row * 0.5 * down + column * 0.75 * across
        place = [*(place * [-1, -1, 1]), 1]
        z, y, x, _ = np.rint(np.linalg.solve(np.array(space.affine), place)).astype(int)
        assert values[z, y, x, 0] == VOLUME[slice_, row, column]


def test_slope_and_intercept_of_each_slice_are_applied(tmp_path):
    series = "1.2.3"
    for index, plane in enumerate(VOLUME):
        write_slice(
            tmp_path / "case" / str(index),
            plane,
            SeriesInstanceUID=series,
            ImagePositionPatient=[0, 0, index],
            RescaleSlope=index + 1,
            RescaleIntercept=-24,
        )
    expected = VOLUME * np.arange(1, 6)[:, None, None] - 24
    np.testing.assert_array_equal(read(tmp_path)[2][..., 0], expected)


def test_signed_twelve_bits_keep_their_sign(tmp_path):
    stored = np.array([[-1, -2048], [2047, 0]], np.int16)
    write_slice(tmp_path / "a", (stored & 0x0FFF).astype(np.int16), BitsStored=12)
    np.testing.assert_array_equal(read(tmp_path)[2][..., 0], stored)


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGLSLossless], ids=lambda uid: uid.name)
def test_compressed_slices_are_those_that_were_compressed(tmp_path, syntax):
    plane = RANDOM.integers(0, 4000, (32, 40)).astype(np.uint16)
    path = write_slice(tmp_path / "a.dcm", plane)
    dicom = pydicom.dcmread(path)
    dicom.compress(syntax)
    dicom.save_as(path)
    np.testing.assert_array_equal(read(tmp_path)[2][..., 0], plane)


@pytest.mark.parametrize(("dtype", "expected"), [(np.uint8, "uint8"), (np.uint16, "uint16")])
def test_film_with_bright_low_values_is_turned_over(tmp_path, dtype, expected):
    plane = RANDOM.integers(0, 255, (6, 5)).astype(dtype)
    write_slice(tmp_path / "a", plane, PhotometricInterpretation="MONOCHROME1", ImagePositionPatient=None)
    header, _, values = read(tmp_path)
    assert header.dtype == expected
    np.testing.assert_array_equal(values[..., 0], np.iinfo(dtype).max - plane)


def test_palette_and_colour_images_are_rgb():
    folder = Path(pydicom.__path__[0]) / "data/test_files"
    by_name = {ref.path: ref for ref in refs(folder)}
    for name in ("examples_palette.dcm", "examples_rgb_color.dcm", "SC_rgb_dcmtk_+eb+cy+s2.dcm"):
        with open_image(by_name[name]) as image:
            values = image.read().values
        assert (values.shape[-1], values.dtype) == (3, np.uint8)
        assert (values[..., 0] != values[..., 2]).any()


def test_one_file_images_in_a_folder_are_pictures_of_their_own(tmp_path):
    for name in "abc":
        write_slice(tmp_path / f"{name}.dcm", VOLUME[0], SeriesInstanceUID=f"1.{ord(name)}")
    found = refs(tmp_path)
    assert [ref.path for ref in found] == ["a.dcm", "b.dcm", "c.dcm"]
    with open_image(found[0]) as image:
        assert image.header.planes is None
        assert image.space.spacing == (0.5, 0.75)


def test_reports_and_other_files_among_slices_are_left_out(tmp_path):
    write_series(tmp_path / "case", VOLUME)
    (tmp_path / "case/LICENSE").write_text("no image")
    report = pydicom.dcmread(write_slice(tmp_path / "case/report.dcm", VOLUME[0]))
    for name in ("Rows", "Columns", "PixelData"):
        del report[name]
    report.save_as(tmp_path / "case/report.dcm")
    assert read(tmp_path)[0].planes == 5


def test_missing_slice_is_refused_with_its_place(tmp_path):
    paths = write_series(tmp_path / "case", VOLUME)
    paths[2].unlink()
    refused(tmp_path, r"1 slice\(s\) missing: slices 2 and 3 of 4 lie 5 mm apart, the others 2.5 mm")


def test_slices_at_one_position_are_refused(tmp_path):
    write_series(tmp_path / "case", VOLUME, SeriesInstanceUID="1.2")
    write_slice(
        tmp_path / "case/again", VOLUME[0], SeriesInstanceUID="1.2", ImagePositionPatient=[-10, -20, 0]
    )
    refused(tmp_path, "several slices lie at one position")


def test_two_series_in_a_folder_are_refused_with_their_numbers(tmp_path):
    write_series(tmp_path / "case", VOLUME)
    for path in write_series(tmp_path / "other", VOLUME[:3], Modality="MR"):
        path.rename(tmp_path / "case" / f"mr{path.name}")
    (tmp_path / "other").rmdir()
    refused(tmp_path, "mixes 2 series .CT, 5 files; MR, 3 files.; keep each series in a folder of its own")


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}, "differ in orientation"),
        ({"PixelSpacing": [1, 1]}, "differ in orientation or pixel spacing"),
        ({"ImagePositionPatient": [-10, -14, 12.5]}, "do not lie on a line"),
    ],
)
def test_slice_that_does_not_fit_its_series_is_refused(tmp_path, changed, reason):
    write_series(tmp_path / "case", VOLUME, SeriesInstanceUID="1.2")
    attributes = {"SeriesInstanceUID": "1.2", "ImagePositionPatient": [-10, -20, 12.5], **changed}
    write_slice(tmp_path / "case/last", VOLUME[0], **attributes)
    refused(tmp_path, reason)


def test_slices_of_other_sizes_are_refused(tmp_path):
    write_series(tmp_path / "case", VOLUME, SeriesInstanceUID="1.2")
    write_slice(
        tmp_path / "case/last", VOLUME[0, :4], SeriesInstanceUID="1.2", ImagePositionPatient=[-10, -20, 12.5]
    )
    refused(tmp_path, "slices differ in size")


def multi_frame(path, volume, **attributes):
    """An enhanced file whose frames stand in no order; each has a slope of its own."""
    write_slice(path, volume.reshape(-1, volume.shape[-1]), **attributes)
    dicom = pydicom.dcmread(path)
    dicom.Rows, dicom.NumberOfFrames = volume.shape[1], len(volume)
    del dicom.ImagePositionPatient, dicom.ImageOrientationPatient, dicom.PixelSpacing
    shared, frames = Dataset(), []
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [Dataset()], [Dataset()]
    shared.PlaneOrientationSequence[0].ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared.PixelMeasuresSequence[0].PixelSpacing = [0.5, 0.75]
    for index in range(len(volume)):
        frame = Dataset()
        frame.PlanePositionSequence, frame.PixelValueTransformationSequence = [Dataset()], [Dataset()]
        frame.PlanePositionSequence[0].ImagePositionPatient = [0, 0, -3 * index]
        frame.PixelValueTransformationSequence[0].RescaleSlope = index + 1
        frame.PixelValueTransformationSequence[0].RescaleIntercept = 5
        frames.append(frame)
    dicom.SharedFunctionalGroupsSequence, dicom.PerFrameFunctionalGroupsSequence = [shared], frames
    dicom.save_as(path)


def test_multi_frame_file_is_a_volume_with_the_slopes_of_its_frames(tmp_path):
    multi_frame(tmp_path / "a.dcm", VOLUME)
    header, space, values = read(tmp_path)
    assert (header.planes, header.dtype, space.spacing) == (5, "float32", (3, 0.5, 0.75))
    expected = VOLUME * np.arange(1, 6)[:, None, None] + 5
    np.testing.assert_array_equal(values[..., 0], expected[::-1])


def test_film_of_frames_without_places_is_refused(tmp_path):
    write_slice(tmp_path / "a.dcm", VOLUME.reshape(-1, 6), NumberOfFrames=5, Rows=8)
    refused(tmp_path, "the 5 frames do not say where they lie")


def test_compression_that_nothing_decodes_is_named():
    folder = Path(pydicom.__path__[0]) / "data/test_files"
    ref = next(ref for ref in refs(folder) if ref.path == "JPGExtended.dcm")
    with (
        open_image(ref) as image,
        pytest.raises(SampleError, match="library decodes JPEG Extended"),
    ):
        image.read()


def test_shipped_series_of_a_scanner_reads_as_a_volume():
    folder = Path(pydicom.__path__[0]) / "data/test_files/dicomdirtests/98892001"
    ref = next(ref for ref in refs(folder) if ref.path == "CT5N")
    with open_image(ref) as image:
        assert (image.header.planes, image.read().values.shape) == (5, (5, 16, 16, 1))
        assert image.space.spacing[0] == pytest.approx(2.5)
