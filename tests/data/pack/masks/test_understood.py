"""What packing says before it writes, and what it refuses because nothing could be learned."""

import json
from pathlib import Path

import numpy as np
import pytest

from unetpp.core.errors import InputError
from unetpp.data.pack.classes import ClassSpec
from unetpp.data.pack.discover import SourceFolder
from unetpp.data.pack.masks.understood import Understood
from unetpp.data.pack.options import PackOptions
from unetpp.data.pack.pack import pack

MASK = np.zeros((12, 12), np.uint8)
MASK[2:7, 3:9] = 1
ROW = MASK * (np.indices(MASK.shape)[0] == 3).astype(np.uint8)
DIAGONAL = np.eye(12, dtype=np.uint8)


class Listener:
    def __init__(self, out: Path) -> None:
        self.out, self.heard = out, None

    def progress(self, progress) -> None: ...

    def understood(self, understood: Understood) -> None:
        self.heard = understood
        assert not list(self.out.rglob("*.parquet"))


@pytest.fixture
def understand(tmp_path, folder, save):
    """Pack masks, by split or as one set, and return what was understood before anything was written."""

    def run(masks, **options) -> Understood:
        by_split = masks if isinstance(masks, dict) else {None: masks}
        folders = []
        for split, arrays in by_split.items():
            named = SourceFolder(f"{folder.images}/{split}", f"{folder.masks}/{split}", split)
            for index, mask in enumerate(arrays):
                shade = np.full(np.shape(mask)[:2], 3 * index + len(str(split)), np.uint8)
                save(Path(named.images) / f"i{index}.png", shade)
                save(Path(named.masks) / f"i{index}.png", mask)
            folders.append(named)
        listener = Listener(tmp_path / "out")
        pack(folders, str(tmp_path / "out"), PackOptions(**options), listener=listener)
        return listener.heard

    return run


def big_among(small: int) -> list[np.ndarray]:
    large = np.zeros((80, 80), np.uint8)
    large[5:75, 5:70] = 1
    return [MASK] * small + [large]


def test_image_that_holds_most_of_a_split_is_named(understand):
    found = understand({"train": [MASK] * 3, "val": big_among(6), "test": big_among(2)})
    (warning,) = [text for text in found.warnings if "pooled scores" in text]
    assert warning.startswith("one image, ")
    assert "i6, holds 96% of the pixels of foreground in the val split" in warning.replace("val/i6", "i6")
    share = found.classes[1].splits["val"]
    assert (share.largest, share.pixels, share.images) == (70 * 65, 70 * 65 + 6 * 30, 7)


def test_alike_images_are_no_reason_to_warn(understand):
    assert not [text for text in understand([MASK] * 30).warnings if "pooled scores" in text]


def test_understood_binary_set_says_kind_values_shares_and_splits(understand):
    found = understand([MASK * 255] * 10)
    background, foreground = found.classes
    assert (found.task, found.masks_are, found.is_stated) == ("binary", "binary", False)
    assert (background.values, foreground.values) == ("0", "255")
    assert foreground.pixel_share == pytest.approx(30 / 144)
    assert foreground.image_share == 1
    assert {split: share.images for split, share in foreground.splits.items()} == found.splits
    assert (found.dtype, found.channels, found.sizes) == ("uint8", 1, {"12x12": 10})
    assert found.mask_files == {"PNG 8 bit": 10}
    text = "\n".join(found.lines())
    assert "binary" in text
    assert "20.8 % of pixels, in 100.0 % of images; mask value 255" in text
    json.dumps(found.as_dict())


def test_understood_classes_count_ignored_pixels_and_classes_that_never_occur(understand):
    mask = MASK * 3
    mask[0] = 255
    mask[11, :3] = 1
    found = understand([mask] * 5, val=0, test=0)
    shares = {share.name: share.pixel_share for share in found.classes}
    assert shares["ignored"] == pytest.approx(12 / 144)
    assert shares["class_2"] == 0
    assert any("train split has a pixel of class_2" in warning for warning in found.warnings)


def test_understood_multilabel_counts_each_bit(understand):
    spec = ClassSpec.model_validate({"classes": ["a", "b"], "task": "multilabel"})
    mask = MASK + np.eye(12, dtype=np.uint8) * 2
    found = understand([mask] * 4, classes=spec, val=0, test=0)
    assert {share.name: share.pixel_share for share in found.classes} == {
        "a": pytest.approx(30 / 144),
        "b": pytest.approx(12 / 144),
        "no label": pytest.approx((144 - 30 - 12 + int(np.diag(MASK).sum())) / 144),
    }


WARNED = {
    "one image in val": ({"train": [MASK] * 3, "val": [MASK]}, {}, "val split is one image"),
    "val without foreground": ({"train": [MASK], "val": [MASK * 0] * 2}, {}, "val split has foreground"),
    "test without foreground": ({"train": [MASK], "test": [MASK * 0]}, {}, "test split has foreground"),
    "class missing in val": (
        {"train": [MASK, MASK * 2], "val": [MASK] * 2},
        {},
        "no mask of the val split has a pixel of class_2",
    ),
    "class missing in train": (
        {"train": [MASK] * 2, "val": [MASK * 2, MASK]},
        {},
        "no mask of the train split has a pixel of class_2",
    ),
    "inverted": (
        [np.uint8(1) - MASK * (np.indices((12, 12))[0] == 3)] * 3,
        {"val": 0, "test": 0},
        "exchanged",
    ),
    "mostly ignored": (
        [np.where(MASK, MASK, 255 - DIAGONAL * 255)] * 3,
        {"val": 0, "test": 0, "masks_are": "classes"},
        "of all pixels are ignored",
    ),
    "transparent": (
        [np.dstack([MASK, MASK * 0, MASK * 0, MASK * 0 + 255 - np.eye(12, dtype=np.uint8)[::-1] * 255]) * 1]
        * 3,
        {"val": 0, "test": 0, "masks_are": "binary"},
        "transparent pixels",
    ),
    "one object a class": ([MASK + np.roll(MASK, 5, 0) * 2] * 3, {"val": 0, "test": 0}, "ids of objects"),
}


@pytest.mark.parametrize("name", WARNED)
def test_understood_warns_of_what_looks_wrong(understand, name):
    masks, options, said = WARNED[name]
    found = understand(masks, **options)
    assert any(said in warning for warning in found.warnings), found.warnings
    assert any(said in line for line in found.lines())


REFUSED = {
    "no foreground": (
        [MASK * 0] * 4,
        {},
        "no mask of the train split has a pixel of foreground.*--masks-are",
    ),
    "no foreground in train": (
        {"train": [MASK * 0] * 2, "val": [MASK]},
        {},
        "no mask of the train split has a pixel of foreground.*there are some in val",
    ),
    "nothing but foreground": ([MASK * 0 + 255] * 4, {}, "every pixel of the train split is foreground"),
    "one class everywhere": (
        [MASK * 0 + 2] * 4,
        {"classes": ClassSpec.model_validate({"classes": ["a", "b", "c"]})},
        "every pixel of the train split is c",
    ),
    "all ignored": (
        [MASK * 0 + 9] * 4,
        {"classes": ClassSpec.model_validate({"classes": ["a", "b"], "ignore_index": 9})},
        "all pixels of the train split are ignored",
    ),
    "no label": (
        [MASK * 0] * 4,
        {"classes": ClassSpec.model_validate({"classes": ["a", "b"], "task": "multilabel"})},
        "no mask of the train split has a pixel of a, b",
    ),
    "threshold above all": (
        [MASK * 100] * 4,
        {"masks_are": "binary", "threshold": 200},
        "no mask of the train split has a pixel of foreground: the masks hold 0, 100",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_pack_refuses_what_nothing_can_be_learned_from(understand, tmp_path, name):
    masks, options, said = REFUSED[name]
    with pytest.raises(InputError, match=said):
        understand(masks, **options)
    assert not list((tmp_path / "out").rglob("manifest*"))


def test_pack_of_a_test_split_without_foreground_warns_only(understand):
    found = understand({"test": [MASK * 0] * 3})
    assert any("test split has foreground" in warning for warning in found.warnings)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"threshold": 0.5}, "--threshold 0.5 applies to --masks-are binary and probabilities only"),
        ({"masks_are": "classes", "threshold": 2}, "--threshold 2 applies"),
        ({"masks_are": "probabilities", "threshold": 128}, "--threshold 128 must be a probability"),
        ({"masks_are": "binary", "threshold": float("nan")}, "must be a number"),
        ({"masks_are": "pictures"}, "must be one of binary, classes"),
        (
            {"masks_are": "instances", "classes": ClassSpec.model_validate({"classes": ["a", "b"]})},
            "classes file is of a multiclass task",
        ),
        (
            {"masks_are": "colours", "classes": ClassSpec.model_validate({"classes": ["a", "b"]})},
            "needs a colour for each class",
        ),
    ],
)
def test_contradicting_mask_options_are_refused(understand, options, said):
    with pytest.raises(InputError, match=said):
        understand([MASK], **options)


def test_stated_kind_takes_name_and_colour_of_the_foreground_from_the_classes_file(understand):
    spec = ClassSpec.model_validate({"classes": [{"name": "cell", "colour": "#ff0000"}]})
    found = understand(
        [MASK * 7 + np.eye(12, dtype=np.uint8)] * 3, classes=spec, masks_are="instances", val=0, test=0
    )
    assert [share.name for share in found.classes] == ["background", "cell"]
    assert found.classes[1].values == "1, 7, 8"
