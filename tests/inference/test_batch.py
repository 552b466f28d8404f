"""Many files: names, sizes, palettes, refusals."""

import numpy as np
import pytest
from PIL import Image

from unetpp.core.errors import ExistsError, InputError, StorageError
from unetpp.core.storage import Storage, open_storage
from unetpp.data.images.decode import read_image
from unetpp.inference.batch import PredictOptions, predict_paths
from unetpp.inference.colours import error_map, mask_palette
from unetpp.inference.predictor import Predictor


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
        expected = Predictor.from_run(run).predict(read_image((folder / "a.png").read_bytes()).values).mask
        assert np.array_equal(np.asarray(mask), expected)


def test_predict_overlay_has_size_of_image(make_run, folder, tmp_path):
    predict_paths(make_run(), str(folder / "a.png"), str(tmp_path / "out"), PredictOptions(overlay=True))
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
    predict_paths(run, str(folder), str(out), PredictOptions(overwrite=True))
    assert (out / "a.png").read_bytes() != b"mine"


@pytest.mark.parametrize("out", [".", "sub"])
def test_predict_into_the_folder_of_the_images_is_refused_even_with_overwrite(make_run, folder, out):
    before = (folder / "a.png").read_bytes()
    with pytest.raises(InputError, match="inside --out"):
        predict_paths(make_run(), str(folder), str(folder / out), PredictOptions(overwrite=True))
    assert (folder / "a.png").read_bytes() == before


def test_predict_storage_that_fails_for_one_image_goes_on_and_for_all_stops(
    make_run, folder, tmp_path, monkeypatch
):
    read, bad = Storage.read, {"b.jpg"}

    def failing(storage: Storage, path: str) -> bytes:
        if path in bad:
            raise StorageError(f"cannot use {path}: permission denied")
        return read(storage, path)

    monkeypatch.setattr(Storage, "read", failing)
    (folder / "broken.png").unlink()
    result = predict_paths(make_run(), str(folder), str(tmp_path / "out"))
    assert (result["images"], result["predicted"]) == (3, 2)
    assert [entry["file"] for entry in result["failed"]] == ["b.jpg"]
    bad |= {"a.png", "sub/a.tif"}
    with pytest.raises(StorageError, match=r"stopped at image 3 of 3, sub/a.tif: .*permission denied"):
        predict_paths(make_run(name="again"), str(folder), str(tmp_path / "out2"))


def test_predict_strict_stops_at_the_first_failure(make_run, folder, tmp_path):
    with pytest.raises(InputError, match=r"broken\.png: .*--strict"):
        predict_paths(make_run(), str(folder), str(tmp_path / "out"), PredictOptions(strict=True))
    assert not (tmp_path / "out/sub/a.png").exists()


def test_predict_grey_image_of_an_rgb_model_equals_its_rgb_copy(make_run, tmp_path):
    grey = np.random.default_rng(1).integers(0, 255, (18, 22), dtype=np.uint8)
    (tmp_path / "in").mkdir()
    Image.fromarray(grey).save(tmp_path / "in/grey.png")
    Image.fromarray(np.repeat(grey[..., None], 3, axis=2)).save(tmp_path / "in/rgb.png")
    predict_paths(make_run(), str(tmp_path / "in"), str(tmp_path / "out"), PredictOptions(overlay=True))
    for name in ("", "overlays/"):
        grey_bytes, rgb_bytes = ((tmp_path / f"out/{name}{n}.png").read_bytes() for n in ("grey", "rgb"))
        assert grey_bytes == rgb_bytes


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


@pytest.mark.s3
def test_predict_from_bucket_to_bucket(make_run, folder, tmp_path, s3_env):
    bucket = s3_env.new_bucket()
    open_storage(f"{bucket}/in").write("x/a.png", (folder / "a.png").read_bytes())
    run = make_run()
    result = predict_paths(run, f"{bucket}/in/*/a.png", f"{bucket}/out")
    assert result["predicted"] == 1
    assert open_storage(f"{bucket}/out").list() == ["x/a.png"]
    assert predict_paths(run, f"{bucket}/in/x/a.png", f"{bucket}/one")["predicted"] == 1


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


def test_predict_images_among_the_models_says_how_to_name_several(make_run, folder, tmp_path):
    with pytest.raises(InputError, match=r"a\.png is neither a run nor an exported file.*quote the pattern"):
        predict_paths([make_run(), str(folder / "a.png")], str(folder / "b.jpg"), str(tmp_path / "out"))
