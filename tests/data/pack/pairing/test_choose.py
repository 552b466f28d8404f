"""Pairs of generated layouts: every mask with its image, and never with another."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unetpp.core.errors import InputError
from unetpp.data.pack.pairing.choose import pair_paths
from unetpp.data.pack.pairing.pattern import pattern_rule

LAYOUTS = {
    "the same path": ("{}.png", "{}.tif"),
    "a mask ending": ("{}.jpg", "{}_mask.png"),
    "both prefixed": ("image_{}.png", "mask_{}.png"),
    "short prefixes": ("img_{}.png", "lbl_{}.png"),
    "prefix of masks alone": ("{}.png", "gt-{}.png"),
    "cellpose": ("{}.tif", "{}_cp_masks.png"),
    "ome": ("{}.ome.tif", "{}.png"),
    "ome on both": ("{}.ome.tif", "{}_labels.ome.tiff"),
    "the image's whole name": ("{}.jpg", "{}.jpg.png"),
    "cityscapes": ("{}_leftImg8bit.png", "{}_gtFine_labelIds.png"),
    "a folder for each": ("{}/image.png", "{}/mask.png"),
    "role folders": ("site1/images/{}.png", "site1/labels/{}.png"),
    "other folders": ("scans/{}.png", "drawn/{}_seg.png"),
}
IDS = st.lists(
    st.one_of(
        st.from_regex(r"[a-z]{1,3}_?[0-9]{1,3}", fullmatch=True),
        st.from_regex(r"[0-9]{3}|[0-9]{5,6}", fullmatch=True),
        st.from_regex(r"[a-z]+_[0-9]{4}_[lr]", fullmatch=True),
        st.sampled_from(["é_1", "ü2", "mask_1", "a_seg", "img", "label_gt", "x.y", "scan 3"]),
    ),
    min_size=1,
    max_size=8,
    unique=True,
)


def pairs_of(images, masks, pattern=None):
    rule = None if pattern is None else pattern_rule(pattern)
    return {m.images: m.mask for m in pair_paths(images, masks, rule).matches}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_pair_paths_of_usual_names_pairs_all(layout):
    image, mask = LAYOUTS[layout]
    ids = ["cell_001", "cell_002", "b7", "z"]
    expected = {(image.format(i),): mask.format(i) for i in ids}
    assert pairs_of([image.format(i) for i in ids], [mask.format(i) for i in ids]) == expected


@pytest.mark.slow
@given(IDS, IDS, st.sampled_from(sorted(LAYOUTS)), st.sampled_from(sorted(LAYOUTS)))
def test_pair_paths_never_pairs_what_does_not_belong_together(image_ids, mask_ids, image_layout, mask_layout):
    image_of = {LAYOUTS[image_layout][0].format(i): i for i in image_ids}
    mask_of = {LAYOUTS[mask_layout][1].format(i): i for i in mask_ids}
    try:
        found = pair_paths(sorted(image_of), sorted(mask_of))
    except InputError as error:
        assert "--pair" in str(error)  # noqa: PT017
        return
    words = {"mask_1": "1", "a_seg": "a", "img": "", "label_gt": "label"}
    for match in found.matches:
        image, mask = image_of[match.images[0]], mask_of[match.mask]
        # Words of roles inside an id cannot be told from those of the layout.
        assert image == mask or words.get(image, image) == words.get(mask, mask)
    lonely = {kind: {f.path for f in found.unpaired if f.kind == kind} for kind in ("image", "mask")}
    assert {path for m in found.matches for path in m.images} | lonely["image"] == set(image_of)
    assert {m.mask for m in found.matches} | lonely["mask"] | set(found.unused) == set(mask_of)


@pytest.mark.parametrize(("image_form", "mask_form"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_pair_paths_reads_both_unicode_forms_as_one(image_form, mask_form):
    names = ["é", "ångström", "ünü"]
    images = [unicodedata.normalize(image_form, f"{name}.png") for name in names]
    masks = [unicodedata.normalize(mask_form, f"{name}_mask.png") for name in names]
    assert pairs_of(images, masks) == {(i,): m for i, m in zip(images, masks, strict=True)}


@pytest.mark.slow
@given(st.integers(1, 4), IDS)
def test_pair_paths_joins_channel_files_in_the_order_of_the_channels(channels, ids):
    images = [f"{i}_{c:04d}.png" for c in reversed(range(channels)) for i in ids]
    masks = [f"{i}.png" for i in ids]
    found = pair_paths(images, masks)
    assert {(m.sample, m.images, m.mask) for m in found.matches} == {
        (i, tuple(f"{i}_{c:04d}.png" for c in range(channels)), f"{i}.png") for i in ids
    }


def test_pair_paths_of_frames_with_a_mask_each_joins_nothing():
    names = [f"frame_{i:04d}.png" for i in range(12)]
    assert pairs_of(names, names) == {(name,): name for name in names}


def test_pair_paths_leaves_out_an_image_that_lacks_a_channel_and_says_which():
    images = [f"{i}_{c:04d}.png" for i in "abc" for c in range(2)]
    found = pair_paths([path for path in images if path != "b_0001.png"], ["a.png", "b.png", "c.png"])
    assert [match.sample for match in found.matches] == ["a", "c"]
    reasons = {file.path: file.reason for file in found.unpaired}
    assert "channel 0001 of this image is missing; most images have 0000, 0001" in reasons["b_0000.png"]


def test_pair_paths_takes_the_class_ids_of_cityscapes_and_leaves_other_renderings_unused():
    images = [f"aachen/{i}_leftImg8bit.png" for i in range(3)]
    kinds = ["labelIds", "color", "instanceIds", "labelTrainIds"]
    found = pair_paths(images, [f"aachen/{i}_gtFine_{kind}.png" for i in range(3) for kind in kinds])
    assert {m.mask for m in found.matches} == {f"aachen/{i}_gtFine_labelIds.png" for i in range(3)}
    assert (len(found.unused), found.unpaired) == (9, ())


def test_pair_paths_with_one_doubled_stem_still_pairs_the_others_by_name():
    images = ["s1/a.png", "s1/b.png", "s1/c.png", "s2/c.jpg"]
    masks = ["m/a.png", "m/b.png", "m/c.png"]
    assert pairs_of(images, masks) == {("s1/a.png",): "m/a.png", ("s1/b.png",): "m/b.png"}
    assert pairs_of(["a.png", "b.png", "b.jpg"], ["x/a.png", "x/b.png"]) == {("a.png",): "x/a.png"}


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        (["x_0000.png", "y_0000.png"], ["x_0000.png", "y_0000.png", "x.png", "y.png"]),
        (["a.png", "b.png"], ["a.png", "b.png", "a_mask.png", "b_mask.png"]),
    ],
)
def test_pair_paths_with_two_candidates_refuses_and_names_both(images, masks):
    try:
        found = pair_paths(images, masks)
    except InputError as error:
        said = str(error)
    else:
        assert not found.matches
        said = " ".join(file.reason for file in found.unpaired if file.kind == "image")
    assert masks[0] in said
    assert masks[2] in said
    assert "--pair" in said


def test_pair_paths_shows_the_nearest_name_of_what_did_not_pair():
    found = pair_paths(["cell_1.png", "cell_2.png"], ["cell_1.png", "cel_2.png", "other.png"])
    reasons = {(file.kind, file.path): file.reason for file in found.unpaired}
    assert "nearest name is 'cel_2.png'" in reasons["image", "cell_2.png"]
    assert "nearest name is 'cell_2.png'" in reasons["mask", "cel_2.png"]
    assert reasons["mask", "other.png"] == "no image has this stem; rename, or see --pair"


def test_pair_paths_of_many_strangers_is_quick_and_pairs_none():
    found = pair_paths([f"a{i}.png" for i in range(1000)], [f"zz_{i}_k.png" for i in range(1000)])
    assert (len(found.matches), len(found.unpaired)) == (0, 2000)


@pytest.mark.parametrize(
    ("pattern", "images", "masks", "expected"),
    [
        (
            r"(\d+)",
            ["scan7.png", "scan12.png"],
            ["t12.png", "t7.png"],
            {("scan7.png",): "t7.png", ("scan12.png",): "t12.png"},
        ),
        (r"^[^/]+/(?P<id>.+)-(in|out)", ["i/a-in.png"], ["m/a-out.png"], {("i/a-in.png",): "m/a-out.png"}),
        (
            r"^(?P<id>[^_]+)(_w(?P<channel>\d))?",
            ["b_w1.tif", "b_w2.tif", "c_w2.tif", "c_w1.tif"],
            ["b.png", "c.png"],
            {("b_w1.tif", "b_w2.tif"): "b.png", ("c_w1.tif", "c_w2.tif"): "c.png"},
        ),
    ],
)
def test_pair_paths_by_an_expression_pairs_what_its_group_finds(pattern, images, masks, expected):
    assert pairs_of(images, masks, pattern) == expected


def test_pair_paths_by_an_expression_never_joins_images_unasked():
    found = pair_paths(["p1_a.png", "p1_b.png"], ["p1.png"], pattern_rule(r"^(p\d)"))
    assert not found.matches
    assert "several images share" in found.unpaired[0].reason


@pytest.mark.parametrize(
    ("text", "reason"), [("(", "no regular expression"), ("a+", "it has 0"), ("(a)(b)", "named id")]
)
def test_pattern_rule_malformed_raises(text, reason):
    with pytest.raises(InputError, match=reason):
        pattern_rule(text)
