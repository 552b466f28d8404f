"""Volumes packed whole, as blocks and as slices."""

import nibabel
import numpy as np
import pytest

from unetpp.core.errors import InputError
from unetpp.core.storage import open_storage
from unetpp.data.dataset.parquet import iter_samples
from unetpp.data.dataset.verify import verify
from unetpp.data.pack.discover import SourceFolder
from unetpp.data.pack.options import PackOptions
from unetpp.data.pack.pack import pack
from volumes import ball_volumes, register, save_volume

SHAPE = (8, 24, 20)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    register(monkeypatch)
    ball_volumes(tmp_path, 5, SHAPE)
    return SourceFolder(str(tmp_path / "images"), str(tmp_path / "masks"))


def packed(folder, out, **options):
    manifest = pack([folder], str(out), PackOptions(**{"val": 0.2, "test": 0.2} | options)).manifest
    storage = open_storage(str(out))
    assert verify(storage).ok
    samples = [sample for split in manifest.splits for sample in iter_samples(storage, manifest, split)]
    return manifest, {sample.sample_id: sample for sample in samples}


def test_volumes_are_rows_with_planes_and_their_spacing(folder, tmp_path):
    manifest, samples = packed(folder, tmp_path / "out")
    assert (manifest.spatial_dims, manifest.voxel_mm) == (3, (3.0, 1.0, 1.0))
    assert manifest.sizes == {"8x24x20": 5}
    assert manifest.max_size_px == SHAPE
    assert samples["case0"].image.shape == (*SHAPE, 1)
    assert samples["case0"].mask.shape == SHAPE
    assert samples["case0"].space.spacing == (3.0, 1.0, 1.0)


def test_blocks_cover_the_volume_and_stay_in_one_split(folder, tmp_path):
    manifest, samples = packed(folder, tmp_path / "out", tile_px=16)
    _, whole = packed(folder, tmp_path / "whole")
    blocks = [sample for sample in samples.values() if sample.group == "case1"]
    assert {sample.mask.shape for sample in blocks} == {(8, 16, 16)}
    covered = np.zeros(SHAPE, bool)
    for block in blocks:
        assert block.tile is not None
        covered[block.tile.slices] = True
        np.testing.assert_array_equal(block.image, whole["case1"].image[block.tile.slices])
    assert covered.all()
    assert manifest.sizes == {"8x16x16": 20}


def test_large_volumes_are_blocks_to_train_on_and_whole_to_score(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("unetpp.data.pack.shard_plan._BLOCK_PX", 16)
    manifest, samples = packed(folder, tmp_path / "out")
    whole = {name for name, sample in samples.items() if sample.tile is None}
    assert {samples[name].mask.shape for name in whole} == {SHAPE}
    assert len(whole) == manifest.splits["val"].rows + manifest.splits["test"].rows == 2
    assert manifest.splits["train"].rows == 3 * 4


@pytest.mark.parametrize(
    ("slicing", "count", "size", "spacing"),
    [("axial", 8, (24, 20), (1.0, 1.0)), ("coronal", 24, (8, 20), (3.0, 1.0))],
)
def test_slices_are_pictures_in_the_split_of_their_volume(folder, tmp_path, slicing, count, size, spacing):
    manifest, samples = packed(folder, tmp_path / "out", slices=slicing)
    assert (manifest.spatial_dims, manifest.slices) == (2, slicing)
    slices = [sample for sample in samples.values() if sample.group == "case0"]
    assert len(slices) == count
    assert {sample.mask.shape for sample in slices} == {size}
    assert slices[0].space.spacing == spacing
    _, whole = packed(folder, tmp_path / "whole")
    axis = {"axial": 0, "coronal": 1}[slicing]
    np.testing.assert_array_equal(
        np.stack([samples[f"case0#{index:04d}"].image for index in range(count)], axis), whole["case0"].image
    )


def test_pictures_among_volumes_are_left_out(folder, tmp_path, save):
    save(tmp_path / "images" / "flat.png", np.zeros((24, 20), np.uint8))
    save(tmp_path / "masks" / "flat.png", np.zeros((24, 20), np.uint8))
    result = pack([folder], str(tmp_path / "out"), PackOptions())
    assert [rejection.reason for rejection in result.rejections] == [
        "a picture; the dataset is of volumes: pack them apart"
    ]


def test_mask_of_another_number_of_planes_is_left_out(folder, tmp_path):
    save_volume(tmp_path / "masks" / "case0.volume", np.zeros((7, 24, 20), np.uint8))
    result = pack([folder], str(tmp_path / "out"), PackOptions())
    assert "mask is 7x24x20, image 8x24x20 pixels" in result.rejections[0].reason


def probability_volumes(root):
    """Two NIfTI cases whose masks are probabilities, stored as scaled integers."""
    shape, chance = (20, 24, 6), {}
    for name in ("images", "masks"):
        (root / name).mkdir()
    for case in range(2):
        draw = np.random.default_rng(case)
        volume = nibabel.Nifti1Image(draw.random(shape, np.float32), np.eye(4))
        chance[f"case{case}"] = np.rint(draw.random(shape) * 255) / 255
        mask = nibabel.Nifti1Image(chance[f"case{case}"].astype(np.float32), np.eye(4))
        mask.set_data_dtype(np.uint8)
        volume.to_filename(root / "images" / f"case{case}.nii.gz")
        mask.to_filename(root / "masks" / f"case{case}.nii.gz")
    return SourceFolder(str(root / "images"), str(root / "masks")), chance


@pytest.mark.parametrize("slices", [None, "axial"])
def test_volumes_of_probabilities_are_asked_about_and_packed_from_the_threshold_on(tmp_path, slices):
    folder, chance = probability_volumes(tmp_path)
    alone = {"val": 0.0, "test": 0.0, "slices": slices}
    with pytest.raises(InputError, match=r"no whole ones.*--masks-are probabilities"):
        packed(folder, tmp_path / "refused", **alone)
    manifest, samples = packed(folder, tmp_path / "out", masks_are="probabilities", threshold=0.3, **alone)
    assert manifest.task == "binary"
    stored = {name: sample.mask for name, sample in samples.items()}
    expected = sum(int((values >= 0.3 - 1e-4).sum()) for values in chance.values())
    assert sum(int((mask == 1).sum()) for mask in stored.values()) == expected


def test_volumes_whose_labels_were_interpolated_or_hold_nan_are_refused(tmp_path):
    folder, _ = probability_volumes(tmp_path)
    for value in (0.5, np.nan):
        mask = np.zeros((20, 24, 6), np.float32)
        mask[5:9], mask[9] = 2, value
        nibabel.Nifti1Image(mask, np.eye(4)).to_filename(tmp_path / "masks" / "case1.nii.gz")
        mask[9] = 0
        nibabel.Nifti1Image(mask, np.eye(4)).to_filename(tmp_path / "masks" / "case0.nii.gz")
        with pytest.raises(InputError, match=r"--masks-are|NaN"):
            packed(folder, tmp_path / "out", val=0.0, test=0.0)
