"""Volumes as slices, and channel files as one image."""

import numpy as np
import pytest

from unetpp.data.images.header import Header, SampleError
from unetpp.data.sources.channels import group_channels, open_channels
from unetpp.data.sources.files import FileRef
from unetpp.data.sources.raster import Box, Space
from unetpp.data.sources.registry import format_of, stem_of
from unetpp.data.sources.slices import SLICINGS, slice_header, slices_of, volume_of


@pytest.mark.parametrize("slicing", SLICINGS)
def test_slices_have_the_headers_shape_and_lead_back_to_the_volume(slicing):
    volume = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    slices = slices_of(volume, slicing)
    header = slice_header(Header(3, 4, 5, "uint8", planes=2), slicing)
    assert slices.shape == (header.planes, header.height, header.width, header.channels)
    np.testing.assert_array_equal(volume_of(slices, slicing), volume)


def test_channel_files_are_one_image_in_the_order_of_their_numbers(tmp_path, save):
    for index, value in enumerate((7, 9)):
        save(tmp_path / f"a_{index:04d}.png", np.full((4, 6), value, np.uint8))
    save(tmp_path / "b.png", np.zeros((4, 6), np.uint8))
    refs = [FileRef(str(tmp_path), name) for name in ("b.png", "a_0001.png", "a_0000.png")]
    groups = group_channels(refs)
    assert sorted(groups) == ["a", "b"]
    with open_channels(groups["a"]) as raster:
        assert (raster.header.height, raster.header.width, raster.header.channels) == (4, 6, 2)
        assert raster.read().values[0, 0].tolist() == [7, 9]
        assert raster.read(Box(1, 2, 2, 3)).values.shape == (2, 3, 2)


def test_channel_files_of_different_sizes_are_refused(tmp_path, save):
    save(tmp_path / "a_0000.png", np.zeros((4, 6), np.uint8))
    save(tmp_path / "a_0001.png", np.zeros((4, 5), np.uint8))
    refs = [FileRef(str(tmp_path), f"a_000{index}.png") for index in range(2)]
    with pytest.raises(SampleError, match="channel files differ in shape"), open_channels(refs):
        pass


@pytest.mark.parametrize(
    ("path", "stem"), [("a/x.png", "a/x"), ("x.tar.gz", "x.tar"), ("x.PNG", "x"), ("x.y.png", "x.y")]
)
def test_stem_is_the_path_without_its_formats_ending(path, stem):
    assert stem_of(path) == stem


def test_name_without_a_known_ending_has_no_format():
    assert format_of("notes.txt") is None


def test_space_survives_its_text():
    space = Space(spacing=(1.5, 0.5), unit="mm", affine=((1.0, 0, 0, 0),) * 4, crs="W", transform=(1.0,) * 6)
    assert Space.from_json(space.to_json()) == space
