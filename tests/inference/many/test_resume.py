"""Calls that were killed go on where they stood, and never mix what two models or ways of asking wrote."""

import json

import numpy as np
import pytest
from PIL import Image

from unetpp.core.errors import ExistsError, InputError
from unetpp.core.storage import Storage
from unetpp.inference import batch
from unetpp.inference.batch import PredictOptions, predict_paths

COUNT = 7


class KilledError(Exception):
    """Stands for SIGKILL: nothing catches it."""


@pytest.fixture
def images(tmp_path):
    """Seven images of two sizes."""
    root = tmp_path / "in"
    root.mkdir()
    for index in range(COUNT):
        pixels = np.random.default_rng(index).integers(0, 255, (16 + 8 * (index % 2), 24, 3), np.uint8)
        Image.fromarray(pixels).save(root / f"{index}.png")
    return root


@pytest.fixture
def dies(monkeypatch):
    """`dies(n)`: the process ends at the n-th mask that it writes; `dies(None)` ends that."""
    write = Storage.write

    def dies_at(number):
        left = [number]

        def dying(storage, path, data):
            if path.endswith((".png", ".txt")):
                left[0] -= 1
                if left[0] < 0:
                    raise KilledError
            write(storage, path, data)

        monkeypatch.setattr(Storage, "write", write if number is None else dying)

    return dies_at


def written(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("form", [None, "yolo"])
def test_resumed_call_predicts_what_is_missing_and_gives_the_same_bytes(
    make_run, images, tmp_path, dies, form
):
    run = make_run()
    predict_paths(run, str(images), str(tmp_path / "whole"), PredictOptions(format=form))
    dies(3)
    with pytest.raises(KilledError):
        predict_paths(run, str(images), str(tmp_path / "out"), PredictOptions(format=form))
    dies(None)
    before = set(written(tmp_path / "out"))
    assert len(before) == 3
    result = predict_paths(run, str(images), str(tmp_path / "out"), PredictOptions(format=form, resume=True))
    assert (result["images"], result["resumed"], result["predicted"]) == (COUNT, 3, COUNT - 3)
    assert written(tmp_path / "out") == written(tmp_path / "whole")
    assert not (tmp_path / "out/.predict").exists()


def test_resumed_call_of_one_file_for_all_images_redoes_those_that_it_lost(
    make_run, images, tmp_path, monkeypatch
):
    run = make_run()
    predict_paths(run, str(images), str(tmp_path / "whole"), PredictOptions(format="coco"))
    monkeypatch.setattr("unetpp.inference.many.journal._RECORDS_AT_ONCE", 2)
    seen = []

    def dying(done, _total):
        seen.append(done)
        if done == 5:
            raise KilledError

    with pytest.raises(KilledError):
        predict_paths(run, str(images), str(tmp_path / "out"), PredictOptions(format="coco"), on_image=dying)
    again = PredictOptions(format="coco", resume=True)
    assert predict_paths(run, str(images), str(tmp_path / "out"), again)["resumed"] == 4
    assert written(tmp_path / "out") == written(tmp_path / "whole")


def test_images_that_failed_are_tried_again_by_resume(make_run, images, tmp_path):
    run, out = make_run(), str(tmp_path / "out")
    whole = (images / "0.png").read_bytes()
    (images / "0.png").write_bytes(whole[:40])
    assert len(predict_paths(run, str(images), out)["failed"]) == 1
    (images / "0.png").write_bytes(whole)
    result = predict_paths(run, str(images), out, PredictOptions(resume=True))
    assert (result["resumed"], result["predicted"], result["failed"]) == (COUNT - 1, 1, [])


def test_resume_of_nothing_begins(make_run, images, tmp_path):
    result = predict_paths(make_run(), str(images), str(tmp_path / "out"), PredictOptions(resume=True))
    assert (result["resumed"], result["predicted"]) == (0, COUNT)


def test_resume_where_other_masks_lie_is_refused(make_run, images, tmp_path):
    out = str(tmp_path / "out")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/0.png").write_bytes(b"mine")
    with pytest.raises(ExistsError, match=r"0\.png.*--overwrite"):
        predict_paths(make_run(), str(images), out, PredictOptions(resume=True))
    assert (tmp_path / "out/0.png").read_bytes() == b"mine"
    assert not (tmp_path / "out/.predict").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"level": 1}, "level was 2; now it is 1"),
        ({"format": "yolo"}, "format was None; now it is yolo"),
        ({"probabilities": True}, "probabilities was False"),
    ],
)
def test_resume_of_a_call_that_was_another_is_refused(make_run, images, tmp_path, dies, change, said):
    run, out = make_run(), str(tmp_path / "out")
    dies(2)
    with pytest.raises(KilledError):
        predict_paths(run, str(images), out)
    dies(None)
    with pytest.raises(ExistsError, match=said):
        predict_paths(run, str(images), out, PredictOptions(resume=True, **change))


def test_resume_with_another_model_is_refused(make_run, images, tmp_path, dies):
    out = str(tmp_path / "out")
    dies(2)
    with pytest.raises(KilledError):
        predict_paths(make_run(), str(images), out)
    dies(None)
    with pytest.raises(ExistsError, match="weights was"):
        predict_paths(make_run(name="other", width=8), str(images), out, PredictOptions(resume=True))


def test_weights_beside_an_exported_graph_tell_models_apart(tmp_path):
    (tmp_path / "m.xml").write_bytes(b"the same graph")
    found = set()
    for weights in (b"of one", b"of another"):
        (tmp_path / "m.bin").write_bytes(weights)
        found.add(batch._weights_digest(str(tmp_path / "m.xml")))
    assert len(found) == 2


def test_resume_of_a_call_that_replaced_masks_is_refused(make_run, images, tmp_path, dies):
    run, out = make_run(), str(tmp_path / "out")
    predict_paths(run, str(images), out)
    dies(2)
    with pytest.raises(KilledError):
        predict_paths(run, str(images), out, PredictOptions(overwrite=True))
    dies(None)
    with pytest.raises(ExistsError, match="begin anew with --overwrite"):
        predict_paths(run, str(images), out, PredictOptions(overwrite=True, resume=True))
    predict_paths(run, str(images), out, PredictOptions(overwrite=True))


def test_journal_says_what_was_asked_until_the_call_ends(make_run, images, tmp_path, dies):
    dies(1)
    with pytest.raises(KilledError):
        predict_paths(make_run(), str(images), str(tmp_path / "out"))
    call = json.loads((tmp_path / "out/.predict/call.json").read_text())
    assert (call["level"], call["step"], call["format"]) == (2, 3, None)


def test_one_unreadable_file_among_many_is_named_and_leaves_the_others(make_run, images, tmp_path):
    (images / "3.png").write_bytes(b"\x89PNG rubbish")
    result = predict_paths(make_run(), str(images), str(tmp_path / "out"))
    assert [entry["file"] for entry in result["failed"]] == ["3.png"]
    assert len(list((tmp_path / "out").glob("*.png"))) == COUNT - 1
    with pytest.raises(InputError, match=r"^3\.png.*--strict"):
        predict_paths(make_run(name="b"), str(images), str(tmp_path / "strict"), PredictOptions(strict=True))
