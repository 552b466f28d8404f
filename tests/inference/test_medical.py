"""Scans as hospitals and challenges keep them: packed, predicted, and answered on their own grid."""

import gzip
import logging
import warnings
from pathlib import Path

import highdicom
import nibabel
import numpy as np
import pydicom
import pytest
from pydicom.sr.codedict import codes

import unetpp
from dicom_files import PATIENT, write_series
from unetpp.core.errors import InputError
from unetpp.core.rundir import RunDir
from unetpp.core.storage import open_storage
from unetpp.data.dataset.manifests import load_manifest
from unetpp.data.dataset.parquet import iter_samples
from unetpp.data.sources.channels import open_channels
from unetpp.data.sources.registry import list_sources, open_image, open_labels
from unetpp.data.sources.spacing import shape_of
from unetpp.inference.predictor import Predictor
from unetpp.inference.volumes import check_any, segment
from unetpp.report.run.page import write_run_report
from untrained_run import write_run_of

LPS = np.array([[-1.0, 0, 0, 30], [0, -1.5, 0, 40], [0, 0, 2, -50], [0, 0, 0, 1]])
TILTED = np.array([[0, 0.1, 1.9, 3], [1.2, 0, 0, -7], [0, 1.4, -0.2, 11.5], [0, 0, 0, 1]])


def save_nifti(path, values, affine=LPS, code=1):
    image = nibabel.Nifti1Image(values, affine)
    image.set_sform(affine, code=code)
    image.set_qform(affine, code=0)
    image.header["descrip"] = PATIENT["PatientName"].encode()
    image.header["db_name"] = PATIENT["PatientID"].encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    image.to_filename(path)


def save_case(root, case, shape=(14, 12, 6), affine=LPS, channels=2, masks=True):
    """Channel files of one case, and a bright block that is label 2 inside label 1."""
    random = np.random.default_rng(len(case))
    labels = np.zeros(shape, np.float32)
    labels[3:10, 3:9, 1:5] = 1
    labels[5:8, 5:7, 2:4] = 2
    for channel in range(channels):
        values = (random.integers(0, 200, shape) + labels * 400).astype(np.int16)
        save_nifti(root / "images" / f"{case}_{channel:04d}.nii.gz", values, affine)
    if masks:
        save_nifti(root / "masks" / f"{case}.nii.gz", labels, affine)


@pytest.fixture
def nifti_run(tmp_path):
    """Pack three two-channel cases and write an untrained run on them."""

    def make(**options):
        for case in ("p1", "p2", "p3"):
            save_case(tmp_path, case)
        data = tmp_path / "data"
        options = {"slices": "axial", "val": 0.34, "test": 0, "workers": 0} | options
        unetpp.pack(tmp_path / "images", tmp_path / "masks", data, **options)
        manifest = manifest_of(data)
        return write_run_of(manifest, data, tmp_path / "run")

    return make


def manifest_of(data):
    return load_manifest(open_storage(str(data)))


def test_pack_joins_channel_files_and_cuts_slices_with_their_place(nifti_run):
    manifest = RunDir(nifti_run()).read_dataset()
    assert (manifest.channels, manifest.channel_files, manifest.slices) == (2, 2, "axial")
    assert [entry.name for entry in manifest.classes] == ["class_0", "class_1", "class_2"]
    assert manifest.sizes == {"12x14": 18}


@pytest.mark.parametrize("affine", [LPS, TILTED, np.diag([1.0, 1, 1, 1])], ids=["lps", "tilted", "ras"])
def test_prediction_has_the_grid_of_its_case_and_the_pixels_of_its_canonical_volume(
    nifti_run, tmp_path, affine
):
    run = nifti_run()
    save_case(tmp_path / "new", "q9", (9, 16, 11), affine, masks=False)
    result = unetpp.predict(run, tmp_path / "new/images", tmp_path / "out", overlay=True, probabilities=True)
    assert (result.images, result.predicted) == (1, 1)
    source = nibabel.load(tmp_path / "new/images/q9_0000.nii.gz")
    mask = nibabel.load(tmp_path / "out/q9.nii.gz")
    assert mask.shape == source.shape
    assert mask.get_data_dtype() == np.uint8
    np.testing.assert_allclose(mask.affine, source.affine, atol=1e-6)
    for field in ("qform_code", "sform_code", "xyzt_units"):
        assert mask.header[field] == source.header[field]
    np.testing.assert_array_equal(mask.header.get_zooms(), source.header.get_zooms())

    predictor = Predictor.from_run(run)
    refs = list_sources(open_storage(str(tmp_path / "new/images")))
    with open_channels(refs) as image:
        pixels = check_any(image.read().values, predictor.manifest)
        expected = segment(predictor, pixels, shape_of(image.header), probabilities=False)
    (ref,) = [ref for ref in list_sources(open_storage(str(tmp_path / "out"))) if ref.path == "q9.nii.gz"]
    with open_labels(ref) as written:
        np.testing.assert_array_equal(written.read().values[..., 0], expected.mask)
    probabilities = nibabel.load(tmp_path / "out/q9_probabilities.nii.gz")
    assert probabilities.shape == (*source.shape, 3)
    np.testing.assert_allclose(probabilities.get_fdata().sum(axis=-1), 1, atol=0.01)
    decided = probabilities.get_fdata().argmax(axis=-1)
    assert (decided == np.asarray(mask.dataobj)).mean() > 0.98
    assert (tmp_path / "out/overlays/q9.png").is_file()


def test_case_that_lacks_a_channel_file_is_passed_over_with_the_reason(nifti_run, tmp_path):
    run = nifti_run()
    save_case(tmp_path / "new", "q1", masks=False)
    save_case(tmp_path / "new", "q2", masks=False)
    (tmp_path / "new/images/q2_0001.nii.gz").unlink()
    result = unetpp.predict(run, tmp_path / "new/images", tmp_path / "out")
    assert [entry["file"] for entry in result.failed] == ["q2.nii.gz"]
    assert "1 channels, the model takes 2 from 2 files, CASE_0000, CASE_0001" in result.failed[0]["reason"]
    assert (tmp_path / "out/q1.nii.gz").is_file()


def test_mask_elsewhere_than_its_image_is_left_out_and_on_turned_axes_is_not(tmp_path):
    for case in ("p1", "p2", "p3"):
        save_case(tmp_path, case)
    moved = LPS.copy()
    moved[0, 3] += 3
    labels = nibabel.load(tmp_path / "masks/p1.nii.gz").get_fdata().astype(np.uint8)
    save_nifti(tmp_path / "masks/p1.nii.gz", labels, moved)
    turned = nibabel.as_closest_canonical(nibabel.load(tmp_path / "masks/p2.nii.gz"))
    turned.to_filename(tmp_path / "masks/p2.nii.gz")
    result = unetpp.pack(
        tmp_path / "images", tmp_path / "masks", tmp_path / "data", slices="axial", val=0.5, test=0, workers=0
    )
    ((file, reason),) = result.rejected
    assert file.endswith("masks/p1.nii.gz")
    assert "the mask lies 3 voxels from its place in the image" in reason
    assert sum(result.rows.values()) == 12


def test_case_packed_whole_is_predicted_as_a_volume_on_its_own_grid(nifti_run, tmp_path):
    run = nifti_run(slices=None, spacing=(4.0, 3.0, 2.0))
    manifest = RunDir(run).read_dataset()
    assert (manifest.spatial_dims, manifest.voxel_mm) == (3, (4.0, 3.0, 2.0))
    assert manifest.sizes == {"3x6x7": 3}
    save_case(tmp_path / "new", "q9", (9, 16, 11), TILTED, masks=False)
    unetpp.predict(run, tmp_path / "new/images", tmp_path / "out", overlay=True, probabilities=True)
    mask = nibabel.load(tmp_path / "out/q9.nii.gz")
    assert mask.shape == (9, 16, 11)
    np.testing.assert_allclose(mask.affine, TILTED, atol=1e-6)
    assert nibabel.load(tmp_path / "out/q9_probabilities.nii.gz").shape == (9, 16, 11, 3)


def test_volume_with_nan_is_left_out_unless_its_voxels_are_to_be_ignored(tmp_path):
    for case in ("p1", "p2", "p3"):
        save_case(tmp_path, case)
    values = nibabel.load(tmp_path / "images/p1_0001.nii.gz").get_fdata(dtype=np.float32)
    values[4, 5, 2] = np.nan
    save_nifti(tmp_path / "images/p1_0001.nii.gz", values)
    folders = (tmp_path / "images", tmp_path / "masks")
    options = {"slices": "axial", "val": 0.34, "test": 0, "workers": 0}
    result = unetpp.pack(*folders, tmp_path / "strict", **options)
    assert [reason for _, reason in result.rejected] == [
        "the image holds NaN or Inf; replace them, or pack with --nan ignore to leave them out"
    ]
    assert not unetpp.pack(*folders, tmp_path / "data", nan="ignore", **options).rejected
    storage, manifest = open_storage(str(tmp_path / "data")), manifest_of(tmp_path / "data")
    samples = {
        sample.sample_id: sample
        for split in manifest.splits
        for sample in iter_samples(storage, manifest, split)
    }
    assert np.argwhere(samples["p1#0002"].mask == 255).tolist() == [[5, 4]]


def test_spacing_changes_what_is_packed_and_not_the_grid_of_predictions(nifti_run, tmp_path):
    run = nifti_run(spacing=(2.0, 3.0, 2.0), window=(200.0, 300.0))
    manifest = RunDir(run).read_dataset()
    assert manifest.sizes == {"6x7": 18}
    samples = list(iter_samples(open_storage(str(tmp_path / "data")), manifest, "train"))
    assert max(sample.image.max() for sample in samples) <= 350
    assert samples[0].space.spacing == (3.0, 2.0)
    save_case(tmp_path / "new", "q9", (9, 16, 11), TILTED, masks=False)
    unetpp.predict(run, tmp_path / "new/images", tmp_path / "out", probabilities=True)
    mask = nibabel.load(tmp_path / "out/q9.nii.gz")
    assert mask.shape == (9, 16, 11)
    np.testing.assert_allclose(mask.affine, TILTED, atol=1e-6)


def write_seg(path, files, labels, names=("liver", "tumour")):
    slices = sorted((pydicom.dcmread(file) for file in files), key=lambda d: d.ImagePositionPatient[2])
    segments = [
        highdicom.seg.SegmentDescription(i, name, codes.SCT.Tissue, codes.SCT.Tissue, "MANUAL")
        for i, name in enumerate(names, 1)
    ]
    seg = highdicom.seg.Segmentation(
        slices, labels, "BINARY", segments, highdicom.UID(), 9, highdicom.UID(), 1, "m", "m", "1", "0"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    seg.save_as(path)


def save_series(root, case, **attributes):
    random = np.random.default_rng(len(case))
    labels = np.zeros((4, 12, 14), np.uint8)
    labels[1:3, 3:9, 3:10] = 1
    labels[2, 5:7, 5:8] = 2
    volume = (random.integers(-100, 100, labels.shape) + labels.astype(np.int16) * 300).astype(np.int16)
    files = write_series(root / "images" / case, volume, **attributes)
    write_seg(root / "masks" / f"{case}.dcm", files, labels)
    return files


@pytest.fixture
def dicom_run(tmp_path):
    for case in ("c1", "c2", "c3"):
        save_series(tmp_path, case)
    data = tmp_path / "data"
    unetpp.pack(tmp_path / "images", tmp_path / "masks", data, slices="axial", val=0.34, test=0, workers=0)
    return write_run_of(manifest_of(data), data, tmp_path / "run")


@pytest.mark.slow
def test_segments_become_classes_and_predictions_segments_that_refer_to_their_slices(dicom_run, tmp_path):
    manifest = RunDir(dicom_run).read_dataset()
    assert [entry.name for entry in manifest.classes] == ["background", "liver", "tumour"]
    assert all(pixels > 0 for pixels in manifest.class_pixels)
    files = save_series(tmp_path / "new", "d1")
    unetpp.predict(dicom_run, tmp_path / "new/images", tmp_path / "out")
    seg = highdicom.seg.segread(tmp_path / "out/d1.dcm")
    segments = [seg.get_segment_description(number) for number in seg.segment_numbers]
    assert [segment.segment_label for segment in segments] == ["liver", "tumour"]
    assert {segment.algorithm_type.value for segment in segments} == {"AUTOMATIC"}
    slices = sorted((pydicom.dcmread(file) for file in files), key=lambda d: d.ImagePositionPatient[2])
    uids = [dicom.SOPInstanceUID for dicom in slices]
    referred = seg.ReferencedSeriesSequence[0]
    assert referred.SeriesInstanceUID == slices[0].SeriesInstanceUID
    assert {item.ReferencedSOPInstanceUID for item in referred.ReferencedInstanceSequence} == set(uids)

    predictor = Predictor.from_run(dicom_run)
    (ref,) = list_sources(open_storage(str(tmp_path / "new/images")))
    with open_image(ref) as image:
        pixels = check_any(image.read().values, manifest)
        expected = segment(predictor, pixels, shape_of(image.header), probabilities=False).mask
    found = seg.get_pixels_by_source_instance(uids, combine_segments=True, ignore_spatial_locations=True)
    np.testing.assert_array_equal(found, expected)
    (written,) = list_sources(open_storage(str(tmp_path / "out")))
    with open_image(ref) as image, open_labels(written) as mask:
        drawn = mask.drawn_on(image, ["liver", "tumour"])
    np.testing.assert_array_equal(drawn @ [1, 2], expected)


@pytest.mark.slow
def test_folder_that_is_a_series_is_answered_under_its_name(dicom_run, tmp_path):
    save_series(tmp_path / "new", "d1")
    unetpp.predict(dicom_run, tmp_path / "new/images/d1", tmp_path / "out", probabilities=True)
    assert (tmp_path / "out/d1.dcm").is_file()
    with np.load(tmp_path / "out/d1_probabilities.npz") as found:
        assert found["probabilities"].shape == (4, 12, 14, 3)
        assert found["classes"].tolist() == ["background", "liver", "tumour"]
        np.testing.assert_allclose(found["probabilities"].sum(axis=-1) * found["scale"], 1, atol=0.01)


@pytest.mark.slow
def test_series_of_one_grid_are_channels_and_the_answer_refers_to_the_first(tmp_path):
    random = np.random.default_rng(0)
    labels = np.zeros((4, 12, 14), np.uint8)
    labels[1:3, 3:9, 3:10] = 1
    for case in ("c1", "c2", "c3", "new"):
        series = [
            write_series(
                tmp_path / ("new" if case == "new" else "images") / f"{case}_{channel:04d}",
                random.integers(0, 900, labels.shape).astype(np.int16),
            )
            for channel in range(2)
        ]
        write_seg(tmp_path / "masks" / f"{case}.dcm", series[0], labels, ("liver",))
    (tmp_path / "masks/new.dcm").unlink()
    data = tmp_path / "data"
    result = unetpp.pack(
        tmp_path / "images", tmp_path / "masks", data, slices="axial", val=0.34, test=0, workers=0
    )
    assert (sum(result.rows.values()), list(result.rejected)) == (12, [])
    manifest = manifest_of(data)
    assert (manifest.channels, manifest.channel_files, manifest.task) == (2, 2, "binary")
    unetpp.predict(write_run_of(manifest, data, tmp_path / "run"), tmp_path / "new", tmp_path / "out")
    seg = highdicom.seg.segread(tmp_path / "out/new.dcm")
    first = pydicom.dcmread(next((tmp_path / "new/new_0000").iterdir()))
    assert seg.ReferencedSeriesSequence[0].SeriesInstanceUID == first.SeriesInstanceUID


def test_dicom_file_without_an_ending_is_an_input_of_its_own(dicom_run, tmp_path):
    files = save_series(tmp_path / "new", "d1")
    unetpp.predict(dicom_run, files[0], tmp_path / "out")
    (written,) = (tmp_path / "out").iterdir()
    assert written.name == f"{files[0].name}.dcm"
    assert highdicom.seg.segread(written).NumberOfFrames >= 1


@pytest.mark.slow
def test_patient_is_in_nothing_but_the_dicom_answers(tmp_path, capfd, caplog):
    """Pack, evaluate, report and predict, with files that are refused for several reasons."""
    caplog.set_level(logging.DEBUG)
    for case in ("c1", "c2", "c3"):
        save_series(tmp_path, case)
    # A gap, two series in a folder, cut pixels, a damaged attribute: each refusal says why.
    save_series(tmp_path, "c4")[1].unlink()
    broken = save_series(tmp_path, "c5")[0]
    broken.write_bytes(broken.read_bytes()[:-200])
    odd = save_series(tmp_path, "c6")[0]
    odd.write_bytes(odd.read_bytes().replace(b"CS\x02\x00CT", b"ZZ\x02\x00CT"))
    for file in save_series(tmp_path / "x", "c7"):
        file.rename(tmp_path / "images/c1" / f"other{file.name}")
    written = tmp_path / "written"
    result = unetpp.pack(
        tmp_path / "images", tmp_path / "masks", written / "data", slices="axial", val=0.5, test=0, workers=0
    )
    assert len(result.rejected) >= 3
    manifest = manifest_of(written / "data")
    run = write_run_of(manifest, written / "data", written / "run")
    unetpp.evaluate(run)
    for split in manifest.splits:
        for sample in iter_samples(open_storage(str(written / "data")), manifest, split):
            require_anonymous(repr(sample).encode(), "a sample")
    predicted = unetpp.predict(run, tmp_path / "images", tmp_path / "out", overlay=True, probabilities=True)
    assert predicted.failed
    save_case(tmp_path / "nifti", "n1", channels=1, masks=False)
    unetpp.predict(run, tmp_path / "nifti/images", written / "nifti", probabilities=True)
    with pytest.raises(InputError) as error:
        unetpp.predict(run, tmp_path / "images/c4", tmp_path / "out2")
    require_anonymous(str(error.value).encode(), "an error")
    write_run_report(run, written / "report.html")
    files = [path for path in written.rglob("*") if path.is_file()]
    files += [path for path in (tmp_path / "out").rglob("*") if path.is_file() and path.suffix != ".dcm"]
    assert len(files) > 10
    for path in files:
        data = path.read_bytes()
        if path.name.endswith(".nii.gz"):
            data = gzip.decompress(data)
        require_anonymous(data, path)
    said = capfd.readouterr()
    require_anonymous((said.out + said.err + caplog.text + repr(result) + repr(predicted)).encode(), "output")


def test_words_that_break_the_standard_are_not_quoted(dicom_run, tmp_path):
    """Libraries warn of them, and quote them."""
    odd = {
        "PatientName": "PLANTED",
        "PatientID": "PLANTED" * 20,
        "PatientBirthDate": "PLANTED-DATE",
        "PatientAge": "PLANTED",
        "ReferringPhysicianName": "PLANTED",
        "StudyDate": "PLANTED",
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_series(tmp_path / "new/d1", np.zeros((4, 12, 14), np.int16), **odd)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        unetpp.predict(dicom_run, tmp_path / "new", tmp_path / "out")
    require_anonymous(repr([str(entry.message) for entry in warned]).encode(), "a warning")
    assert b"PLANTED" in (tmp_path / "out/d1.dcm").read_bytes()


def require_anonymous(data: bytes, where: str | Path) -> None:
    found = [value for value in (*PATIENT.values(), "PLANTED") if value.encode() in data]
    assert not found, f"{where} holds {found}"
