"""The page that shows what was packed."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from html_page import HtmlPage
from scenes import write_scenes
from unetpp.api.packing import PackRequest, pack_folders
from unetpp.core.storage import Storage
from unetpp.data.images.header import Header
from unetpp.data.pack.discover import Pair
from unetpp.data.pack.scan import LabelledPair
from unetpp.data.sources.files import FileRef
from unetpp.report.packing import chosen_pairs


def pair(index: int, **counts: int) -> LabelledPair:
    ref = FileRef("r", f"{index}.png")
    labels = tuple((int(name[1:]), count) for name, count in counts.items())
    return LabelledPair(Pair(str(index), ref, ref, None), Header(8, 8, 1, "uint8"), labels, "d")


def test_chosen_pairs_hold_every_class_and_then_the_first_others():
    pairs = [pair(index, v0=60, v1=4) for index in range(30)]
    pairs[21] = pair(21, v0=40, v3=20, v2=4)
    pairs[27] = pair(27, v0=60, v4=4)
    chosen = [item.pair.sample_id for item in chosen_pairs(pairs, 5)]
    assert {"21", "27"} < set(chosen)
    assert len(set(chosen)) == 5
    assert [item.pair.sample_id for item in chosen_pairs(pairs, 5)] == chosen


def test_chosen_pairs_show_a_class_where_it_can_be_seen():
    pairs = [pair(0, v0=64, v1=64), pair(1, v0=127, v1=1, v2=1), pair(2, v0=64, v2=64)]
    assert [item.pair.sample_id for item in chosen_pairs(pairs, 2)] == ["0", "2"]


def test_chosen_pairs_of_more_classes_than_places_are_as_many_as_fit():
    pairs = [pair(index, v0=60, **{f"v{index + 1}": 4}) for index in range(40)]
    assert len(chosen_pairs(pairs, 16)) == 16


@pytest.fixture
def scene(tmp_path) -> Path:
    write_scenes(tmp_path / "scene", 20, 24)
    return tmp_path / "scene"


def packed(scene: Path, out: str, **options) -> HtmlPage:
    folders = {None: str(scene / "images")}, {None: str(scene / "masks")}
    pack_folders(*folders, out, PackRequest(workers=0, **options))
    return HtmlPage(Storage(out).read("preview.html").decode())


def test_preview_is_one_page_with_classes_splits_and_sixteen_overlays(scene, tmp_path):
    page = packed(scene, str(tmp_path / "out"))
    assert page.open == []
    assert all(reference.startswith("data:") for reference in page.references)
    assert sum(reference.startswith("data:image/jpeg") for reference in page.references) == 16
    for text in ("class_2", "Images in val", "train", "inferred"):
        assert text in page.text


def test_preview_of_the_same_files_is_the_same(scene, tmp_path):
    assert packed(scene, str(tmp_path / "a")).references == packed(scene, str(tmp_path / "b")).references


def test_preview_shows_warnings_and_escapes_names(tmp_path):
    for kind, value in (("images", 90), ("masks", 1)):
        (tmp_path / kind).mkdir()
        for index in range(3):
            pixels = np.zeros((16, 16), np.uint8)
            pixels[:, 1:] = value
            Image.fromarray(pixels).save(tmp_path / kind / f"<b>{index}.png")
    page = packed(tmp_path, str(tmp_path / "out"), val=0, test=0)
    assert "Looks wrong" in page.text
    assert "may be exchanged" in page.text
    assert "b" not in page.tags


@pytest.mark.s3
def test_preview_of_a_dataset_in_a_bucket_lies_beside_its_manifest(scene, s3_env):
    page = packed(scene, f"{s3_env.new_bucket()}/set")
    assert len(page.references) > 16
