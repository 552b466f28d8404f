"""Masks never replace images and are never taken for them, wherever links lead."""

import shutil
from itertools import chain

import pytest

from unetpp.core.errors import InputError
from unetpp.core.storage import open_storage
from unetpp.inference.batch import PredictOptions, predict_paths
from unetpp.inference.inputs import find_images
from unetpp.inference.outputs import own_outputs, refuse_images


def check(source, out, *, overlay=False):
    images = find_images(str(source))
    names = chain.from_iterable(own_outputs(images, overlay=overlay).values())
    refuse_images(open_storage(out), images, list(names))


def test_out_that_is_a_link_to_the_images_is_refused_and_nothing_is_replaced(make_run, folder, tmp_path):
    before = (folder / "a.png").read_bytes()
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(InputError, match="inside --out"):
        predict_paths(make_run(), str(folder), str(tmp_path / "link"), PredictOptions(overwrite=True))
    assert (folder / "a.png").read_bytes() == before


def test_images_named_through_a_link_into_out_are_refused(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(InputError, match="inside --out"):
        check(tmp_path / "link", folder)


def test_image_that_is_a_link_into_out_is_refused(folder, tmp_path):
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked/a.png").symlink_to(folder / "a.png")
    with pytest.raises(InputError, match="inside --out"):
        check(tmp_path / "linked", folder)


def test_folder_below_out_that_is_a_link_to_the_images_is_refused(folder, tmp_path):
    shutil.move(folder / "sub/a.tif", folder / "sub/a.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/sub").symlink_to(folder / "sub")
    with pytest.raises(InputError, match=r"first 'sub/a\.png'"):
        check(folder, tmp_path / "out")


def test_overlays_folder_that_is_a_link_to_the_images_is_refused(folder, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/overlays").symlink_to(folder)
    check(folder, tmp_path / "out")
    with pytest.raises(InputError, match="inside --out"):
        check(folder, tmp_path / "out", overlay=True)


def test_out_that_the_images_link_to_is_refused(folder, tmp_path):
    (tmp_path / "out").mkdir()
    (folder / "sub/results").symlink_to(tmp_path / "out")
    with pytest.raises(InputError, match="the next call would take"):
        check(folder, tmp_path / "out")
    check(f"{folder}/*.png", tmp_path / "out")


@pytest.mark.parametrize("source", ["", "/**/*.png"])
def test_out_below_the_searched_folder_is_refused(folder, source):
    with pytest.raises(InputError, match="the next call would take"):
        check(f"{folder}{source}", folder / "masks")


@pytest.mark.parametrize("source", ["/a.png", "/*.png", "/[ab].*"])
def test_out_where_images_are_not_looked_for_is_fine(folder, source):
    check(f"{folder}{source}", folder / "masks")


def test_hard_link_among_the_outputs_keeps_the_image(make_run, folder, tmp_path):
    before = (folder / "a.png").read_bytes()
    (tmp_path / "out").mkdir()
    (tmp_path / "out/a.png").hardlink_to(folder / "a.png")
    (tmp_path / "out/b.png").symlink_to(folder / "b.jpg")
    image = (folder / "b.jpg").read_bytes()
    predict_paths(make_run(), str(folder), str(tmp_path / "out"), PredictOptions(overwrite=True))
    assert (folder / "a.png").read_bytes() == before
    assert (folder / "b.jpg").read_bytes() == image
    assert (tmp_path / "out/a.png").read_bytes() != before


def test_out_in_a_bucket_that_holds_the_images_is_refused(folder):
    open_storage("memory://mixed/in").write("a.png", (folder / "a.png").read_bytes())
    for out in ("memory://mixed/in", "memory://mixed"):
        with pytest.raises(InputError, match="inside --out"):
            check("memory://mixed/in", out)
    with pytest.raises(InputError, match="the next call would take"):
        check("memory://mixed/in", "memory://mixed/in/masks")
    check("memory://mixed/in", "memory://mixed/out")
