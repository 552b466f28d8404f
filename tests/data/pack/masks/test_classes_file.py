"""A classes file settles what it names; masks that it does not fit are refused with the way out."""

import numpy as np
import pytest

import mask_sets
from mask_sets import discs, fore, png, read, scattered
from unetpp.core.errors import InputError
from unetpp.data.pack.classes import ClassSpec

GREEN, RED, BLACK, WHITE = (0, 200, 0), (255, 0, 0), (0, 0, 0), (255, 255, 255)


def spec_of(*classes, **fields) -> ClassSpec:
    return ClassSpec.model_validate({"classes": classes, **fields})


def four() -> list[np.ndarray]:
    return [scattered(seed, 2) for seed in range(4)]


def test_classes_file_with_colours_reads_palettes_by_colour():
    spec = spec_of(
        {"name": "background", "colour": BLACK}, {"name": "a", "colour": GREEN}, {"name": "b", "colour": RED}
    )
    masks = four()
    swapped = mask_sets.palette([BLACK, RED, GREEN])
    _, found = read([swapped(np.array([0, 2, 1], np.uint8)[mask]) for mask in masks], spec=spec)
    np.testing.assert_array_equal(found, masks)


def test_classes_file_whose_colours_are_not_those_of_the_palette_keeps_indices():
    spec = spec_of({"name": "background", "colour": BLACK}, {"name": "a", "colour": WHITE}, "b")
    masks = four()
    _, found = read([mask_sets.palette([BLACK, RED, GREEN])(mask) for mask in masks], spec=spec)
    np.testing.assert_array_equal(found, masks)


def test_binary_classes_file_reads_a_white_first_palette_as_it_is_shown():
    masks = [fore(0, index) for index in range(4)]
    encode = mask_sets.palette([WHITE, BLACK])
    meaning, found = read([encode(1 - mask) for mask in masks], spec=spec_of("cell"))
    np.testing.assert_array_equal(found, masks)
    assert [entry.name for entry in meaning.labelling.classes] == ["cell"]


def test_classes_file_takes_gaps_soft_borders_and_values_without_zero():
    spec = spec_of("a", "b", "c", "d", "e")
    masks = [np.where(fore(0, index), 4, 1).astype(np.uint8) for index in range(4)]
    _, found = read([png(mask) for mask in masks], spec=spec)
    np.testing.assert_array_equal(found, masks)


REFUSED = {
    "lossy classes": ([mask_sets.jpeg(mask) for mask in four()], spec_of("a", "b", "c"), "lossy compression"),
    "lossy binary": (
        [mask_sets.jpeg(fore(0, index) * 255) for index in range(4)],
        spec_of("cell"),
        "--masks-are binary",
    ),
    "ids beside one name": (
        [png(discs(index, 9).astype(np.uint8)) for index in range(4)],
        spec_of("cell"),
        "4 of 4 masks do not fit the classes file.*--masks-are",
    ),
    "colours beside names": (
        [png(np.array([BLACK, GREEN, RED], np.uint8)[mask]) for mask in four()],
        spec_of("a", "b", "c"),
        "a colour mask needs a classes file with a colour.*--masks-are colours",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_classes_file_that_most_masks_do_not_fit_is_refused(name):
    files, spec, said = REFUSED[name]
    with pytest.raises(InputError, match=said):
        read(files, spec=spec)


def test_mask_of_one_channel_a_label_needs_a_classes_file():
    layers = [np.dstack([mask == 1, mask == 2]).astype(np.uint8) for mask in four()]
    files = [mask_sets.npy(mask) for mask in layers]
    with pytest.raises(InputError, match=r"2 channels.*task: multilabel.*--classes"):
        read(files)
    _, found = read(files, spec=spec_of("a", "b", task="multilabel"))
    np.testing.assert_array_equal(found, four())


def test_organs_that_are_one_region_each_are_classes_where_some_are_missing():
    """Ids would be numbered through."""

    def organs(seed: int) -> np.ndarray:
        ids = discs(seed, 12).astype(np.uint8)
        missing = np.random.default_rng(seed).permutation(12)[:6] + 1
        return np.where(np.isin(ids, missing), 0, ids)

    masks = [organs(seed) for seed in range(6)]
    meaning, found = read([png(mask) for mask in masks])
    assert meaning.masks_are == "classes"
    np.testing.assert_array_equal(found, masks)
