"""Many files: names, sizes, palettes, refusals."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unetpp.core.errors import ExistsError, InputError
from unetpp.data.decode import read_image
from unetpp.predict.batch import predict_paths
from unetpp.predict.colours import error_map, mask_palette
from unetpp.predict.inputs import find_images, split_glob
from unetpp.predict.predictor import Predictor


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three good images in two folders, one damaged, one that is no image."""
    root = tmp_path / "images"
    (root / "sub").mkdir(parents=True)
    generator = np.random.default_rng(0)
    for name, size in (("a.png", (20, 31)), ("b.jpg", (16, 16)), ("sub/a.tif", (9, 40))):
        Image.fromarray(generator.integers(0, 255, (*size, 3), dtype=np.uint8)).save(root / name)
    (root / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nrubbish")
    (root / "notes.txt").write_text("no image")
    return root


def test_predict_folder_writes_same_stems_and_sizes_and_counts_damaged(make_run, folder, tmp_path):
    result = predict_paths(make_run(), str(folder), str(tmp_path / "out"))
    written = {
        str(p.relative_to(tmp_path / "out")): Image.open(p).size for p in (tmp_path / "out").rglob("*.png")
    }
    assert written == {"a.png": (31, 20), "b.png": (16, 16), "sub/a.png": (40, 9)}
    assert result["predicted"] == 3
    assert [entry["file"] for entry in result["failed"]] == ["broken.png"]


def test_predict_mask_pixels_are_class_indices_under_class_colours(make_run, folder, tmp_path):
    run = make_run("multiclass")
    predict_paths(run, str(folder / "a.png"), str(tmp_path / "out"))
    with Image.open(tmp_path / "out/a.png") as mask:
        assert mask.mode == "P"
        assert mask.getpalette()[3:6] == [0, 255, 0]
        expected = Predictor.from_run(run).predict(read_image((folder / "a.png").read_bytes())).mask
        assert np.array_equal(np.asarray(mask), expected)


def test_predict_overlay_has_size_of_image(make_run, folder, tmp_path):
    predict_paths(make_run(), str(folder / "a.png"), str(tmp_path / "out"), overlay=True)
    with Image.open(tmp_path / "out/overlays/a.png") as overlay:
        assert (overlay.size, overlay.mode) == ((31, 20), "RGB")


def test_predict_existing_output_needs_overwrite(make_run, folder, tmp_path):
    run, out = make_run(), tmp_path / "out"
    predict_paths(run, str(folder / "a.png"), str(out))
    (out / "a.png").write_bytes(b"mine")
    with pytest.raises(ExistsError, match=r"a\.png.*--overwrite"):
        predict_paths(run, str(folder), str(out))
    assert (out / "a.png").read_bytes() == b"mine"
    assert not (out / "b.png").exists()
    predict_paths(run, str(folder), str(out), overwrite=True)
    assert (out / "a.png").read_bytes() != b"mine"


@pytest.mark.parametrize("out", [".", "sub"])
def test_predict_into_the_folder_of_the_images_is_refused_even_with_overwrite(make_run, folder, out):
    before = (folder / "a.png").read_bytes()
    with pytest.raises(InputError, match="inside --out"):
        predict_paths(make_run(), str(folder), str(folder / out), overwrite=True)
    assert (folder / "a.png").read_bytes() == before


def test_predict_only_damaged_images_is_an_error(make_run, folder, tmp_path):
    with pytest.raises(InputError, match="none of 1 images"):
        predict_paths(make_run(), str(folder / "broken.png"), str(tmp_path / "out"))


def test_predict_reports_progress_of_every_image(make_run, folder, tmp_path):
    seen: list[tuple[int, int]] = []
    predict_paths(
        make_run(),
        str(folder),
        str(tmp_path / "out"),
        on_image=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.png", ["a.png", "broken.png"]),
        ("**/a.*", ["a.png", "sub/a.tif"]),
        ("s?b/*", ["sub/a.tif"]),
        ("[ab].*", ["a.png", "b.jpg"]),
    ],
)
def test_find_images_glob_matches_part_by_part(folder, pattern, found):
    assert list(find_images(f"{folder}/{pattern}").paths) == found


def test_find_images_same_stem_twice_is_refused(folder):
    (folder / "a.jpg").write_bytes(b"")
    with pytest.raises(InputError, match="'a'"):
        find_images(str(folder))


@pytest.mark.parametrize("name", ["absent", "absent.png", "*.gif"])
def test_find_images_nothing_there_is_refused(folder, name):
    with pytest.raises(InputError, match="no images at"):
        find_images(f"{folder}/{name}")


@pytest.mark.parametrize(
    ("source", "cut"),
    [
        ("s3://bucket/a/*.png", ("s3://bucket/a", "*.png")),
        ("*.png", (".", "*.png")),
        ("/*/x.png", ("/", "*/x.png")),
        ("folder/x.png", ("folder/x.png", "")),
    ],
)
def test_split_glob_cuts_before_first_wildcard(source, cut):
    assert split_glob(source) == cut


@pytest.mark.s3
def test_predict_from_bucket_to_bucket(make_run, folder, tmp_path, s3_env):
    from unetpp.core.storage import open_storage

    bucket = s3_env.new_bucket()
    open_storage(f"{bucket}/in").write("x/a.png", (folder / "a.png").read_bytes())
    result = predict_paths(make_run(), f"{bucket}/in/*/a.png", f"{bucket}/out")
    assert result["predicted"] == 1
    assert open_storage(f"{bucket}/out").list() == ["x/a.png"]


def test_error_map_tells_found_invented_and_missed(make_run):
    from unetpp.core.rundir import RunDir

    manifest = RunDir(make_run()).read_dataset()
    truth = np.array([[0, 1, 0, 1, 255]], dtype=np.uint8)
    mask = np.array([[0, 1, 1, 0, 1]], dtype=np.uint8)
    colours = [tuple(pixel) for pixel in error_map(truth, mask, manifest)[0].tolist()]
    assert colours == [(0, 0, 0), (235, 235, 235), (213, 94, 0), (0, 114, 178), (90, 90, 90)]


def test_mask_palette_multilabel_averages_the_labels_of_a_value(make_run):
    from unetpp.core.rundir import RunDir

    palette = mask_palette(RunDir(make_run("multilabel")).read_dataset())
    assert palette[[0, 1, 2, 3]].tolist() == [[0, 0, 0], [255, 0, 0], [0, 0, 255], [127, 0, 127]]
