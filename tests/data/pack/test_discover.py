from pathlib import Path

import pytest

from unetpp.core.errors import InputError
from unetpp.data.pack.discover import SourceFolder, discover
from unetpp.data.pack.splitting.groups import load_group_rule


def touch(folder: str, *names: str) -> None:
    for name in names:
        path = Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def matched(folder: SourceFolder) -> list[tuple[str, str, str]]:
    return [(pair.sample_id, pair.images[0].path, pair.mask.path) for pair in discover([folder])[0]]


def test_discover_matches_stems_whatever_the_suffix(folder):
    touch(folder.images, "b.jpg", "a.PNG", "notes.txt", ".hidden.png")
    touch(folder.masks, "a.png", "b.tif")
    assert matched(folder) == [("a", "a.PNG", "a.png"), ("b", "b.jpg", "b.tif")]


@pytest.mark.parametrize("ending", ["_mask", "-mask", "_gt", "_segmentation", "_labels", "_Mask"])
def test_discover_matches_masks_with_an_ending(folder, ending):
    touch(folder.images, "a.png")
    touch(folder.masks, f"a{ending}.png")
    assert matched(folder) == [("a", "a.png", f"a{ending}.png")]


def test_discover_matches_the_same_name_in_different_folders_by_path(folder):
    touch(folder.images, "p1/x.png", "p2/x.png")
    touch(folder.masks, "p1/x.png", "p2/x.png")
    assert matched(folder) == [("p1/x", "p1/x.png", "p1/x.png"), ("p2/x", "p2/x.png", "p2/x.png")]


def test_discover_falls_back_to_bare_names_if_no_path_agrees(folder):
    touch(folder.images, "scans/a.png", "scans/b.png")
    touch(folder.masks, "drawn/a_mask.png", "drawn/b_mask.png")
    assert matched(folder) == [
        ("scans/a", "scans/a.png", "drawn/a_mask.png"),
        ("scans/b", "scans/b.png", "drawn/b_mask.png"),
    ]


def test_discover_in_one_folder_tells_masks_by_their_ending(folder):
    touch(folder.images, "a.png", "a_mask.png", "b_sat.jpg", "b_mask.png")
    both = SourceFolder(folder.images, folder.images + "/")
    assert matched(both) == [("a", "a.png", "a_mask.png"), ("b_sat", "b_sat.jpg", "b_mask.png")]


def test_discover_in_one_folder_tells_masks_by_their_words_wherever_they_stand(folder):
    touch(folder.images, "img_1.png", "mask_1.png", "c/images/x.png", "c/masks/x.png")
    both = SourceFolder(folder.images, folder.images)
    assert matched(both) == [
        ("c/images/x", "c/images/x.png", "c/masks/x.png"),
        ("img_1", "img_1.png", "mask_1.png"),
    ]


def test_discover_takes_no_mask_for_an_image_where_masks_lie_below_the_images(folder):
    touch(folder.images, "a.png", "annotated/a.png")
    pairs, rejections = discover([SourceFolder(folder.images, f"{folder.images}/annotated")])
    assert ([pair.sample_id for pair in pairs], rejections) == (["a"], [])


def test_discover_searches_linked_folders_once(folder, tmp_path):
    touch(str(tmp_path / "pool"), "p/a.png", "p/b.png")
    touch(folder.masks, "p/a.png", "p/b.png")
    (Path(folder.images) / "p").symlink_to(tmp_path / "pool/p")
    (Path(folder.images) / "again").symlink_to(tmp_path / "pool")
    (tmp_path / "pool/loop").symlink_to(tmp_path / "pool")
    assert [pair.sample_id for pair in discover([folder])[0]] == ["again/p/a", "again/p/b"]


def test_discover_with_an_expression_that_gives_two_images_one_id_packs_neither(folder):
    touch(folder.images, "a.1.png", "a.1.jpg", "b.png")
    touch(folder.masks, "png1.png", "jpg1.png", "b.png")
    pairs, rejections = discover([folder], r"(?P<id>b|png1|jpg1|(?<=a\.1\.)(png|jpg))")
    assert not {pair.sample_id for pair in pairs} & {"a.1"}
    assert rejections


def test_discover_names_files_without_partner_and_stems_used_twice(folder):
    touch(folder.images, "a.png", "lonely.png", "twice.png", "twice.jpg")
    touch(folder.masks, "a.png", "extra.png", "twice.png")
    pairs, rejections = discover([folder])
    assert [pair.sample_id for pair in pairs] == ["a"]
    assert {(Path(r.file).name, r.reason.split(";")[0]) for r in rejections} == {
        ("lonely.png", "no mask has this stem"),
        ("extra.png", "no image has this stem"),
        ("twice.png", "several images share this stem"),
        ("twice.jpg", "several images share this stem"),
        ("twice.png", "no image has this stem"),
    }


def test_discover_with_named_splits_puts_the_split_before_the_id(folder):
    touch(folder.images, "a.png")
    touch(folder.masks, "a.png")
    named = [SourceFolder(folder.images, folder.masks, split) for split in ("train", "val")]
    assert [(p.sample_id, p.split) for p in discover(named)[0]] == [("train/a", "train"), ("val/a", "val")]


@pytest.mark.parametrize("splits", [(None, None), ("train", None), ("train", "train"), ()])
def test_discover_with_unclear_splits_raises(folder, splits):
    with pytest.raises(InputError, match=r"split"):
        discover([SourceFolder(folder.images, folder.masks, split) for split in splits])


def test_discover_of_a_missing_or_empty_folder_raises(folder):
    with pytest.raises(InputError, match="holds no file"):
        discover([folder])
    with pytest.raises(InputError, match="does not exist"):
        discover([SourceFolder(folder.images + "x", folder.masks)])


def test_group_rule_takes_the_first_group_of_the_expression():
    assert load_group_rule(r"^(patient\d+)_")("patient12_slice3") == "patient12"
    assert load_group_rule(r"^[^/]+")("site/a") == "site"
    assert load_group_rule(None)("a/b") == "a/b"


def test_group_rule_from_csv_takes_the_column(tmp_path):
    table = tmp_path / "groups.csv"
    table.write_text("sample,group,age\na,p1,3\nb,p1,4\n")
    rule = load_group_rule(str(table))
    assert (rule("a"), rule("b")) == ("p1", "p1")
    with pytest.raises(InputError, match="'c' has no row"):
        rule("c")


@pytest.mark.parametrize(("text", "reason"), [("(", "regular expression"), ("nowhere.csv", "cannot be read")])
def test_group_rule_malformed_raises(text, reason):
    with pytest.raises(InputError, match=reason):
        load_group_rule(text)


def test_group_rule_without_a_match_names_the_sample():
    with pytest.raises(InputError, match="does not match sample 'x9'"):
        load_group_rule("^p")("x9")


def test_group_rule_csv_without_columns_raises(tmp_path):
    table = tmp_path / "groups.csv"
    table.write_text("id,patient\n1,2\n")
    with pytest.raises(InputError, match="sample,group"):
        load_group_rule(str(table))
