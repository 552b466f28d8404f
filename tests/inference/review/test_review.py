"""The images of a review are the least certain ones, and its page shows them without a network."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fake_pool import FakePool
from unetpp.core.errors import ConfigError, ExistsError, InputError
from unetpp.core.rundir import RunDir
from unetpp.inference.batch import PredictOptions, predict_paths
from unetpp.inference.device import pick_device
from unetpp.inference.ensemble.load import load_member
from unetpp.inference.export import export_run
from unetpp.inference.predictor import masks_from_logits
from unetpp.inference.review.rank import doubt_of
from unetpp.models.inference import predict_logits
from unetpp.objective.certainty import certainty


@pytest.fixture
def images(tmp_path):
    root = tmp_path / "in"
    root.mkdir()
    for index in range(5):
        pixels = np.random.default_rng(index).integers(0, 40 * index + 2, (20, 24, 3), np.uint8)
        Image.fromarray(pixels).save(root / f"{index}.png")
    (root / "broken.png").write_bytes(b"\x89PNG rubbish")
    return root


def shown(out):
    """Names and certainties on the page, in its order."""
    page = (out / "review/index.html").read_text()
    found = re.findall(r"<figcaption>\d+\. (\d\.png), certainty ([\d.]+)", page)
    return [name for name, _ in found], [float(value) for _, value in found]


@pytest.fixture
def predicted(monkeypatch):
    """Numbers of images of the passes through a network."""
    passes = []

    def counting(model, images, **options):
        passes.append(len(images))
        return predict_logits(model, images, **options)

    monkeypatch.setattr("unetpp.inference.predictor.predict_logits", counting)
    return passes


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_review_shows_the_least_certain_in_order_and_predicts_each_image_once(
    make_run, images, tmp_path, task, predicted
):
    run = make_run(task)
    network = load_member(run, None, None, pick_device(), every_level=True)
    expected = {}
    for path in sorted(images.glob("[0-9].png")):
        pixels = torch.from_numpy(np.array(Image.open(path))).movedim(-1, 0)[None]
        with torch.inference_mode():
            levels = [level.float() for level in network.outputs(pixels.to(pick_device())).levels]
        masks = masks_from_logits(levels[-1], task)
        expected[path.name] = certainty(levels, masks, task)[0, 0].item()
    for keep in (10, 2):
        del predicted[:]
        out = tmp_path / str(keep)
        predict_paths(run, str(images), str(out), PredictOptions(review=keep))
        names, certain = shown(out)
        assert names == sorted(expected, key=lambda name: (expected[name], name))[:keep]
        assert certain == pytest.approx([expected[name] for name in names], abs=6e-4)
        assert sum(predicted) == 5
    predict_paths(run, str(images), str(tmp_path / "plain"))
    for path in (tmp_path / "plain").glob("*.png"):
        assert (out / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("options", [{}, {"tta": True, "probabilities": True}, {"format": "coco"}])
def test_review_by_a_pool_is_that_of_one_process(make_run, images, tmp_path, options):
    run, asked = make_run(), PredictOptions(review=2, **options)
    predict_paths(run, str(images), str(tmp_path / "alone"), asked)
    predict_paths(run, str(images), str(tmp_path / "pool"), asked, run=FakePool(3))
    alone, pool = (
        {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}
        for root in (tmp_path / "alone", tmp_path / "pool")
    )
    assert {name for name in alone if ".predict" not in str(name)} >= {Path("review/index.html")}
    for name in alone.keys() | pool.keys():
        if ".predict" not in str(name):
            assert alone[name] == pool[name]


def test_review_of_an_ensemble_shows_the_masks_of_the_mean_by_its_confidence(make_run, images, tmp_path):
    runs = [make_run(), make_run(name="other", width=6)]
    predict_paths(runs, str(images), str(tmp_path / "out"), PredictOptions(review=1))
    assert "by its confidence" in (tmp_path / "out/review/index.html").read_text()


def test_killed_prediction_with_a_review_is_gone_on_with_and_nothing_known_is_predicted_again(
    make_run, images, tmp_path, monkeypatch, predicted
):
    run = make_run()
    (images / "broken.png").unlink()
    predict_paths(run, str(images), str(tmp_path / "whole"), PredictOptions(review=3))
    monkeypatch.setattr("unetpp.inference.many.journal._RECORDS_AT_ONCE", 2)

    def dying(done, _total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict_paths(run, str(images), str(tmp_path / "out"), PredictOptions(review=3), on_image=dying)
    del predicted[:]
    result = predict_paths(run, str(images), str(tmp_path / "out"), PredictOptions(review=3, resume=True))
    assert result["resumed"] == 2
    assert sum(predicted) == 3
    for name in ("review/index.html", "0.png", "4.png"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_resume_that_asks_for_another_review_is_refused(make_run, images, tmp_path):
    run = make_run()
    predict_paths(run, str(images), str(tmp_path / "out"))  # one image is broken: the call is not over
    with pytest.raises(ExistsError, match="review was None; now it is 1"):
        predict_paths(run, str(images), str(tmp_path / "out"), PredictOptions(review=1, resume=True))


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
