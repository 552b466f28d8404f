import numpy as np
import pytest

from unetpp.core.errors import InputError
from unetpp.core.manifest import IGNORE
from unetpp.data.images.header import SampleError
from unetpp.data.pack.classes import ClassSpec
from unetpp.data.pack.labels import index_labelling, labelling_of, to_values

BLACK, RED, BLUE, GREY = (0, 0, 0), (255, 0, 0), (0, 0, 255), (128, 128, 128)


def spec_of(*classes, **fields) -> ClassSpec:
    return ClassSpec.model_validate({"classes": classes, **fields})


def colours(*pixels) -> np.ndarray:
    return np.array([pixels], dtype=np.uint8)


def test_index_labelling_counts_to_the_maximum_and_ignores_255():
    labelling = index_labelling({0, 1, 4, 2, 255})
    assert labelling.task == "multiclass"
    assert [entry.name for entry in labelling.classes] == [f"class_{i}" for i in range(5)]
    assert labelling.ignore_index == IGNORE
    assert labelling.apply(np.array([[4, 255]], dtype=np.uint8)).tolist() == [[4, 255]]


def test_index_labelling_of_0_1_255_ignores_255():
    labelling = index_labelling({0, 1, 255})
    assert (len(labelling.classes), labelling.ignore_index) == (2, IGNORE)


@pytest.mark.parametrize("values", [{0}, {0, 255}, {255}])
def test_index_labelling_without_two_classes_raises(values):
    with pytest.raises(InputError, match=r"at least two classes.*--masks-are binary"):
        index_labelling(values)


def test_labels_that_share_mask_values_are_nested_regions():
    spec = spec_of(
        {"name": "whole", "values": [1, 2, 3, 4]},
        {"name": "core", "values": [1, 3, 4]},
        {"name": "enhancing", "values": [4]},
        task="multilabel",
    )
    labelling = labelling_of(spec, frozenset(range(5)))
    assert labelling.apply(np.arange(5, dtype=np.uint8)).tolist() == [0, 0b011, 0b001, 0b011, 0b111]
    with pytest.raises(SampleError, match="mask values 5 are no label"):
        labelling.check([0, 5])


def test_mask_values_that_are_one_class_are_merged():
    spec = spec_of({"name": "tissue", "values": [0, 1]}, {"name": "tumour", "values": [2, 7]}, ignore_index=9)
    labelling = labelling_of(spec, frozenset({0, 1, 2, 7, 9}))
    assert labelling.apply(np.array([0, 1, 2, 7, 9], np.uint8)).tolist() == [0, 0, 1, 1, IGNORE]
    binary = labelling_of(spec_of({"name": "tumour", "values": [2, 7]}), frozenset({0, 2, 7}))
    assert binary.apply(np.array([0, 2, 7], np.uint8)).tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    ("classes", "task", "said"),
    [
        ([{"name": "a", "values": [1]}, "b"], None, "for every class"),
        ([{"name": "a", "values": [1]}, {"name": "b", "values": []}], None, "one or more each"),
        ([{"name": "a", "values": [1]}, {"name": "b", "values": [1]}], None, "task: multilabel"),
        ([{"name": "a", "values": [1]}, {"name": "b", "values": [300]}], None, "must be 0 to 255"),
    ],
)
def test_mask_values_of_classes_that_contradict_are_refused(classes, task, said):
    with pytest.raises(ValueError, match=said):
        spec_of(*classes, task=task)


def test_labelling_of_a_binary_file_reads_0_255_and_0_1():
    for values in ({0, 1}, {0, 255}):
        labelling = labelling_of(spec_of("cell"), frozenset(values))
        labelling.check(values)
        assert labelling.apply(np.array([[max(values)]], dtype=np.uint8)).tolist() == [[1]]


def test_labelling_of_a_file_with_ignore_index_stores_255():
    labelling = labelling_of(spec_of("a", "b", ignore_index=11), frozenset({0, 1, 11}))
    assert labelling.apply(np.array([[0, 1, 11]], dtype=np.uint8)).tolist() == [[0, 1, 255]]
    assert labelling.ignore_index == IGNORE


def test_labelling_check_of_a_value_beyond_the_classes_raises():
    labelling = labelling_of(spec_of("a", "b", "c"), frozenset({0, 7}))
    with pytest.raises(SampleError, match="mask values 7 are no label"):
        labelling.check({0, 7})


def test_labelling_foreground_is_the_scored_share_that_is_not_background():
    labelling = labelling_of(spec_of("a", "b", ignore_index=255), frozenset({0, 1, 255}))
    assert labelling.foreground({0: 30, 1: 10, 255: 60}) == 0.25
    assert labelling.foreground({255: 5}) == 0


def test_to_values_of_colours_gives_class_indices():
    spec = spec_of({"name": "sky", "colour": GREY}, {"name": "car", "colour": RED}, ignore_colour=BLACK)
    assert to_values(colours(GREY, RED, BLACK), spec).tolist() == [[0, 1, 255]]
    assert to_values(colours(GREY, GREY), spec).tolist() == [[0, 0]]


def test_to_values_of_colours_with_binary_file_takes_black_as_background():
    spec = spec_of({"name": "road", "colour": RED})
    assert to_values(colours(BLACK, RED), spec).tolist() == [[0, 1]]


def test_to_values_of_grey_rgb_needs_no_colours():
    assert to_values(colours((1, 1, 1), (2, 2, 2)), spec_of("a", "b", "c")).tolist() == [[1, 2]]
    assert to_values(colours((1, 1, 1), (2, 2, 2)), None).tolist() == [[1, 2]]
    with_colours = spec_of({"name": "a", "colour": RED}, {"name": "b", "colour": BLUE})
    assert to_values(colours((1, 1, 1)), with_colours).tolist() == [[1]]


@pytest.mark.parametrize(
    ("mask", "spec", "reason"),
    [
        (colours(RED), None, "classes file with a colour"),
        (colours(RED), spec_of("a", "b"), "classes file with a colour"),
        (colours(RED), spec_of({"name": "a", "colour": BLUE}, "b"), r"colour \(255, 0, 0\)"),
        (np.full((1, 1, 1), 300, np.uint16), None, "ids of objects"),
        (np.array([[[0, 1]]], np.uint8), None, "multilabel"),
        (np.array([[[0, 1]]], np.uint8), spec_of("a", "b", "c", task="multilabel"), "2 channels.*3 labels"),
        (
            np.array([[[0, 9, 1]]], np.uint8),
            spec_of("a", "b", "c", task="multilabel"),
            "0 and 1, or 0 and 255",
        ),
    ],
)
def test_to_values_without_meaning_gives_the_reason(mask, spec, reason):
    with pytest.raises(SampleError, match=reason):
        to_values(mask, spec)


def test_to_values_of_multilabel_channels_sets_bit_k_for_label_k():
    spec = spec_of("a", "b", "c", task="multilabel")
    mask = np.array([[[1, 0, 0], [0, 1, 1], [255, 0, 255]]], dtype=np.uint8)
    assert to_values(mask, spec).tolist() == [[0b001, 0b110, 0b101]]


def test_to_values_of_a_multilabel_bit_field_is_taken_as_it_is():
    spec = spec_of("a", "b", task="multilabel", ignore_index=255)
    values = to_values(np.array([[[3], [255]]], np.uint8), spec)
    labelling = labelling_of(spec, frozenset({3, 255}))
    labelling.check({3, 255})
    assert labelling.apply(values).tolist() == [[3, 255]]
    with pytest.raises(SampleError, match="values 4"):
        labelling.check({4})


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([0, 65535], "reaches 65535: it is a binary mask in more than 8 bits; add --masks-are binary"),
        ([0, 300], "reaches 300: it is a binary mask"),
        ([300], "reaches 300; add --masks-are instances"),
        ([0, 1, 300], "reaches 300; add --masks-are instances"),
    ],
)
def test_to_values_of_wide_masks_says_what_they_are(values, said):
    with pytest.raises(SampleError, match=said):
        to_values(np.array([values], dtype=np.uint16)[:, :, None], None)


@pytest.mark.parametrize(
    ("classes", "values", "said"),
    [
        (["background", "cell"], {0, 255}, "names 'cell' only: remove 'background'; else if 255 marks"),
        (["sky", "road", "car"], {0, 2, 255}, "if 255 marks pixels that never count, add ignore_index: 255"),
        (["sky", "road", "car"], {0, 7}, "values 7 are no label .* correct the mask or the classes file"),
    ],
)
def test_labelling_check_names_the_way_out(classes, values, said):
    labelling = labelling_of(spec_of(*classes), frozenset(values))
    with pytest.raises(SampleError, match=said):
        labelling.check(values)
