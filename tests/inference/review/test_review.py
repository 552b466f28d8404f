"""The images of a review are the least certain ones, and its page shows them without a network."""

import re

import numpy as np
import pytest
import torch
from PIL import Image

from unetpp.core.errors import ConfigError, ExistsError, InputError
from unetpp.core.rundir import RunDir
from unetpp.inference.batch import PredictOptions, predict_paths
from unetpp.inference.device import pick_device
from unetpp.inference.ensemble.load import load_member
from unetpp.inference.export import export_run
from unetpp.inference.inputs import find_images
from unetpp.inference.review.rank import doubt_of, least_certain


@pytest.fixture
def images(tmp_path):
    root = tmp_path / "in"
    root.mkdir()
    for index in range(5):
        pixels = np.random.default_rng(index).integers(0, 40 * index + 2, (20, 24, 3), np.uint8)
        Image.fromarray(pixels).save(root / f"{index}.png")
    (root / "broken.png").write_bytes(b"\x89PNG rubbish")
    return root


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_least_certain_are_the_first_of_all_in_order(make_run, images, task):
    device = pick_device()
    network = load_member(make_run(task), None, None, device, every_level=True)
    found = find_images(str(images)).images
    ranked = least_certain(network, device, found, 10)
    assert len(ranked) == 5
    assert [entry.certainty for entry in ranked] == sorted(entry.certainty for entry in ranked)
    assert {entry.measure for entry in ranked} == {"levels"}
    two = least_certain(network, device, found, 2)
    assert [entry.image.name for entry in two] == [entry.image.name for entry in ranked[:2]]


def test_doubt_is_where_levels_differ_and_of_one_level_where_it_is_undecided():
    deep = torch.tensor([[[0.9, 0.5]]])
    assert doubt_of([deep]).tolist() == [[pytest.approx(0.1), 0.5]]
    assert doubt_of([torch.tensor([[[0.9, 0.1]]]), deep]).tolist() == [[0.0, pytest.approx(0.4)]]


def test_review_writes_a_page_that_holds_its_pictures(make_run, images, tmp_path):
    run, out = make_run(), tmp_path / "out"
    result = predict_paths(run, str(images), str(out), PredictOptions(review=2))
    page = (out / "review/index.html").read_text()
    assert result["review"] == f"{result['out'].rstrip('/')}/review/index.html"
    assert not re.search(r"(src|href)=['\"](?!data:)", page)
    names = re.findall(r"<figcaption>\d+\. (\d\.png), certainty", page)
    assert len(names) == 2
    for name in names:
        assert (out / "review/images" / name).read_bytes() == (images / name).read_bytes()
    assert (out / "4.png").exists()
    (out / "0.png").unlink()
    with pytest.raises(ExistsError, match=r"review/index\.html"):
        predict_paths(run, str(images / "0.png"), str(out), PredictOptions(review=1))


def test_review_by_an_export_goes_by_confidence(make_run, images, tmp_path):
    export_run(make_run(), tmp_path / "m.safetensors")
    out = tmp_path / "out"
    predict_paths(str(tmp_path / "m.safetensors"), str(images), str(out), PredictOptions(review=1))
    assert "by its confidence" in (out / "review/index.html").read_text()


def test_review_of_less_than_one_image_is_refused(make_run, images, tmp_path):
    with pytest.raises(ConfigError, match="--review 0 must be at least 1"):
        predict_paths(make_run(), str(images), str(tmp_path / "out"), PredictOptions(review=0))
    assert not (tmp_path / "out").exists()


def test_review_shows_the_masks_that_were_written(make_run, images, tmp_path):
    out = tmp_path / "out"
    predict_paths(make_run(), str(images), str(out), PredictOptions(review=5, thresholds=(0.0001,)))
    assert all(np.asarray(Image.open(path)).all() for path in out.glob("*.png"))
    page = (out / "review/index.html").read_text()
    shown = re.findall(
        r"<div class='pair mask'><img alt='[^']*' src='([^']*)'><img alt='[^']*' src='([^']*)'", page
    )
    assert len(shown) == 5
    assert all(image != with_mask for image, with_mask in shown)


def test_review_of_volumes_is_refused_before_anything_is_predicted(make_run, images, tmp_path):
    run = make_run()
    storage = RunDir(run).storage
    manifest = RunDir(run).read_dataset().model_copy(update={"slices": "axial"})
    storage.write("dataset.json", manifest.model_dump_json().encode())
    with pytest.raises(InputError, match="this model segments volumes"):
        predict_paths(run, str(images), str(tmp_path / "out"), PredictOptions(review=1))
    assert not (tmp_path / "out").exists()


def test_prediction_killed_before_its_review_is_done_is_gone_on_with(make_run, images, tmp_path, monkeypatch):
    run, out = make_run(), tmp_path / "out"
    (images / "broken.png").unlink()

    def dying(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("unetpp.inference.batch.write_review", dying)
        with pytest.raises(KeyboardInterrupt):
            predict_paths(run, str(images), str(out), PredictOptions(review=1))
    result = predict_paths(run, str(images), str(out), PredictOptions(review=1, resume=True))
    assert (result["resumed"], result["predicted"]) == (5, 0)
    assert (out / "review/index.html").is_file()
