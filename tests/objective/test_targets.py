import pytest
import torch

from unetpp.core.manifest import IGNORE
from unetpp.objective.targets import encode_target


def test_encode_target_binary_marks_foreground_and_ignored():
    encoded = encode_target(torch.tensor([[[0, 1], [IGNORE, 1]]], dtype=torch.uint8), "binary", 1)
    assert encoded.target.tolist() == [[[[0, 1], [0, 1]]]]
    assert encoded.valid.tolist() == [[[[1, 1], [0, 1]]]]
    assert encoded.target.dtype == encoded.valid.dtype == torch.float32


def test_encode_target_multiclass_is_one_hot():
    encoded = encode_target(torch.tensor([[[0, 2, 1, IGNORE, 3]]], dtype=torch.uint8), "multiclass", 3)
    assert encoded.target[0, :, 0].T.tolist() == [[1, 0, 0], [0, 0, 1], [0, 1, 0], [0, 0, 0], [0, 0, 0]]
    assert encoded.valid.flatten().tolist() == [1, 1, 1, 0, 0]


def test_encode_target_multilabel_reads_the_bits():
    mask = torch.tensor([[[0, 0b101, 0b010, 0b111, 128, 0b10000001, IGNORE]]], dtype=torch.uint8)
    encoded = encode_target(mask, "multilabel", 3)
    rows = [[0, 0, 0], [1, 0, 1], [0, 1, 0], [1, 1, 1], [0, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert encoded.target[0, :, 0].T.tolist() == rows
    assert encoded.valid.flatten().tolist() == [1, 1, 1, 1, 0, 0, 0]


@pytest.mark.parametrize("classes", [1, 7, 128, 254])
def test_encode_target_many_classes_keeps_every_index(classes):
    mask = torch.arange(classes, dtype=torch.uint8).view(1, 1, classes)
    encoded = encode_target(mask, "multiclass", classes)
    assert torch.equal(encoded.target[0, :, 0], torch.eye(classes))
    assert encoded.valid.min() == 1


def test_encode_target_three_dimensions_keeps_the_axes(task):
    encoded = encode_target(torch.zeros(2, 3, 4, 5, dtype=torch.uint8), task, 2 if task != "binary" else 1)
    assert encoded.target.shape[2:] == (3, 4, 5)
    assert encoded.valid.shape == (2, 1, 3, 4, 5)
