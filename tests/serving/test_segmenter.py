"""What a server takes and refuses, without a server."""

import io

import numpy as np
import pytest
from PIL import Image

from unetpp.core.errors import ConfigError
from unetpp.inference.export import export_run
from unetpp.inference.predictor import Predictor
from unetpp.serving.options import TOKEN_VARIABLE, ServeOptions
from unetpp.serving.segmenter import RequestError, Segmenter, is_allowed, token_digest
from untrained_run import write_untrained_run


def encoded(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


@pytest.fixture
def run(tmp_path):
    return write_untrained_run(tmp_path, "multiclass")


PHOTO = np.random.default_rng(0).integers(0, 255, (20, 31, 3), dtype=np.uint8)


def test_answer_is_the_mask_that_predict_gives_at_the_level_asked_for(run):
    for level in (1, 2):
        segmenter = Segmenter(run, level, 1.0)
        ((body, _),) = segmenter.answer([segmenter.decode(encoded(PHOTO))], ["png"])
        expected = Predictor.from_run(run, level=level).predict(PHOTO).mask
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(body))), expected)
        assert segmenter.describe()["level"] == level


def test_exported_file_answers_as_the_run_it_was_made_from(run, tmp_path):
    file = tmp_path / "model.safetensors"
    export_run(run, file, level=1)
    by_file, by_run = Segmenter(str(file), None, 1.0), Segmenter(run, 1, 1.0)
    image = by_file.decode(encoded(PHOTO))
    assert by_file.answer([image], ["png"]) == by_run.answer([image], ["png"])
    assert by_file.describe()["level"] == 1


def test_images_of_several_sizes_and_forms_are_answered_in_order(run):
    segmenter = Segmenter(run, None, 1.0)
    sizes = [(20, 31), (9, 40), (20, 31)]
    images = [segmenter.decode(encoded(np.resize(PHOTO, (*size, 3)))) for size in sizes]
    answers = segmenter.answer(images, ["png", "rle", "png"])
    assert [media_type for _, media_type in answers] == ["image/png", "application/json", "image/png"]
    assert Image.open(io.BytesIO(answers[0][0])).size == (31, 20)
    assert answers[0] == answers[2]


@pytest.mark.parametrize("at_once_px", [0, 2 * 20 * 31])
def test_images_that_share_a_pass_are_answered_as_each_alone(run, monkeypatch, at_once_px):
    monkeypatch.setattr("unetpp.inference.engines.network._at_once_px", lambda *_: at_once_px)
    segmenter = Segmenter(run, None, 1.0)
    shapes = [(20, 31), (9, 40), (20, 31), (20, 31), (9, 40)]
    random = np.random.default_rng(1)
    images = [
        segmenter.decode(encoded(random.integers(0, 255, (*shape, 3), dtype=np.uint8))) for shape in shapes
    ]
    forms = ["png", "rle", "polygons", "png", "png"]
    alone = [segmenter.answer([image], [form])[0] for image, form in zip(images, forms, strict=True)]
    assert segmenter.answer(images, forms) == alone


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"", 415, "empty"),
        (b"no image", 415, "unknown format"),
        (encoded(PHOTO)[:-30], 422, "damaged"),
        (encoded(PHOTO.astype(np.uint16)[:, :, 0] * 99), 422, "uint16"),
        (encoded(np.zeros((200, 100, 3), np.uint8)), 413, "0.01 megapixels"),
    ],
)
def test_body_that_is_no_usable_image_is_refused_with_its_status(run, body, status, said):
    with pytest.raises(RequestError, match=said) as refused:
        Segmenter(run, None, 0.01).decode(body)
    assert refused.value.status == status


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"replicas": 0}, "--replicas 0 must be at least 1"),
        ({"max_batch": 0}, "--max-batch 0 must be at least 1"),
        ({"max_queued": 0}, "--max-queued"),
        ({"max_megapixels": 0.0}, "--max-megapixels 0 must be above 0"),
        ({"port": 70000}, "--port 70000"),
        ({"host": "0.0.0.0"}, f"needs a token: set {TOKEN_VARIABLE}"),
        ({"host": "example.org"}, "needs a token"),
    ],
)
def test_options_that_cannot_work_or_open_the_model_are_refused(options, said):
    with pytest.raises(ConfigError, match=said):
        ServeOptions(**options).check(has_token=False)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_own_machine_needs_no_token(host):
    ServeOptions(host=host).check(has_token=False)
    ServeOptions(host="0.0.0.0").check(has_token=True)


@pytest.mark.parametrize(
    ("header", "allowed"),
    [
        ("Bearer secret", True),
        ("bearer secret ", True),
        ("Bearer Secret", False),
        ("secret", False),
        ("", False),
    ],
)
def test_token_is_compared_as_a_whole(header, allowed):
    assert is_allowed(header, token_digest("secret")) is allowed
    assert is_allowed(header, None)
