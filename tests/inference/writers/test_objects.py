"""Objects as files: id images with a table, COCO and YOLO, and read back as annotations."""

import csv
import json

import numpy as np
import pytest
import safetensors.torch
import tifffile
from PIL import Image

from unetpp.config.run import RunConfig
from unetpp.config.sections.data import DataConfig
from unetpp.config.sections.model import ModelConfig
from unetpp.core.errors import ExistsError, InputError
from unetpp.core.manifest import Instances
from unetpp.core.rundir import RunDir
from unetpp.core.storage import Storage, open_storage
from unetpp.data.dataset.manifests import load_manifest
from unetpp.data.dataset.parquet import iter_samples
from unetpp.data.images.decode import read_image
from unetpp.data.pack.discover import SourceFolder
from unetpp.data.pack.options import PackOptions
from unetpp.data.pack.pack import pack
from unetpp.inference.batch import PredictOptions, predict_paths
from unetpp.inference.evaluate import evaluate
from unetpp.inference.objects.find import find_objects
from unetpp.inference.predictor import Predictor
from unetpp.models.build import build_model
from unetpp.models.load import MODEL_FILE
from unetpp.objective.instances import InstanceMetrics


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """An untrained network on discs with ids, and a folder of images for it."""
    import torch

    folder = tmp_path_factory.mktemp("objects")
    generator = np.random.default_rng(4)
    for place in ("images", "ids"):
        (folder / place / "sub").mkdir(parents=True)
    y, x = np.mgrid[:32, :40]
    for name in ("a", "b", "sub/c", "d"):
        ids = np.zeros((32, 40), np.uint16)
        for k in range(6):
            ids[np.hypot(y - generator.integers(32), x - generator.integers(40)) < 6] = k + 1
        image = ((ids > 0) * 120 + generator.integers(0, 90, ids.shape)).astype(np.uint8)
        Image.fromarray(image).save(folder / "images" / f"{name}.png")
        tifffile.imwrite(folder / "ids" / f"{name}.tif", ids)
    options = PackOptions(val=0.25, test=0.25, instances=Instances(kind="border", border_px=1))
    sources = [SourceFolder(str(folder / "images"), str(folder / "ids"))]
    manifest = pack(sources, str(folder / "data"), options).manifest
    model = ModelConfig(in_channels=1, num_classes=3, depth=2, width=4, image_classes=0)
    data = DataConfig(uri=str(folder / "data"), batch_size=1, crop=16)
    config = RunConfig(data=data, model=model, out=str(folder / "run"))
    place = RunDir(config.run_uri)
    place.create(config.model_dump(mode="json"), [], manifest, {"version": "0"})
    torch.manual_seed(2)
    network = build_model(model)
    for parameter in network.parameters():
        if parameter.ndim == 1:
            torch.nn.init.normal_(parameter, std=0.5)
    place.checkpoints.save(1, {MODEL_FILE: safetensors.torch.save(network.state_dict())})
    place.checkpoints.mark_best(1, 0.5)
    return place.uri, folder / "images"


def found(run, path):
    predictor = Predictor.from_run(run)
    prediction = predictor.predict(read_image(path.read_bytes()).values)
    steps = np.rint(prediction.probabilities * 255).astype(np.float32) / 255
    return find_objects(steps, predictor.manifest)


def test_a_run_on_ids_answers_with_ids_and_a_table(run, tmp_path):
    uri, images = run
    predict_paths(uri, str(images), str(tmp_path))
    names = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert names == sorted(f"{stem}.{end}" for stem in ("a", "b", "d", "sub/c") for end in ("tif", "csv"))
    expected = found(uri, images / "sub/c.png")
    ids = tifffile.imread(tmp_path / "sub/c.tif")
    assert ids.dtype == np.uint16
    np.testing.assert_array_equal(ids, expected.ids)
    rows = list(csv.DictReader((tmp_path / "sub/c.csv").open()))
    assert [int(row["area_px"]) for row in rows] == np.bincount(ids.ravel())[1:].tolist()
    assert {row["class"] for row in rows} <= {"object"}
    with pytest.raises(ExistsError, match="8 outputs exist"):
        predict_paths(uri, str(images), str(tmp_path))


def test_masks_of_classes_are_still_to_be_had(run, tmp_path):
    uri, images = run
    predict_paths(uri, str(images / "a.png"), str(tmp_path), PredictOptions(format="png"))
    with Image.open(tmp_path / "a.png") as mask:
        assert set(np.unique(np.asarray(mask))) <= {0, 1, 2}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["coco", "yolo"])
def test_what_is_written_packs_again_as_the_same_objects(run, tmp_path, name):
    uri, images = run
    out = tmp_path / "out"
    predict_paths(uri, str(images), str(out), PredictOptions(format=name))
    masks = out / "annotations.json" if name == "coco" else out
    options = PackOptions(val=0, test=0, instances=Instances(kind="border", border_px=1))
    result = pack([SourceFolder(str(images), str(masks))], str(tmp_path / "again"), options)
    assert not result.rejections
    storage = Storage(str(tmp_path / "again"))
    for sample in iter_samples(storage, load_manifest(storage), "train"):
        expected = found(uri, images / f"{sample.sample_id}.png").ids
        if name == "coco":
            assert len(np.unique(sample.instances)) == len(np.unique(expected))
            pairs = np.unique(np.stack([sample.instances.ravel(), expected.ravel()]), axis=1)
            assert pairs.shape[1] == len(np.unique(expected))
        else:
            # Holes are filled, and smaller objects are seen in them.
            assert ((sample.instances > 0) | (expected == 0)).all()


def test_coco_file_tells_scores_areas_and_boxes(run, tmp_path):
    uri, images = run
    predict_paths(uri, str(images / "a.png"), str(tmp_path), PredictOptions(format="coco"))
    document = json.loads((tmp_path / "annotations.json").read_text())
    expected = found(uri, images / "a.png")
    assert [entry["score"] for entry in document["annotations"]] == pytest.approx(expected.scores, abs=1e-4)
    for k, entry in enumerate(document["annotations"], 1):
        rows, columns = np.nonzero(expected.ids == k)
        left, top, width, height = entry["bbox"]
        assert (left, top) == (columns.min(), rows.min())
        assert (left + width, top + height) == (columns.max() + 1, rows.max() + 1)
        assert entry["area"] == len(rows)
    assert document["categories"] == [{"id": 2, "name": "object"}]


def test_evaluation_scores_objects_against_kept_ids(run):
    uri, _ = run
    scores = evaluate(uri, split="train")["objects"]
    expected = InstanceMetrics()
    predictor = Predictor.from_run(uri)
    config = RunDir(uri).read_config()
    data = open_storage(config["data"]["uri"])
    for sample in iter_samples(data, load_manifest(data), "train"):
        probabilities = predictor.predict(sample.image).probabilities
        expected.update(sample.instances, find_objects(probabilities, predictor.manifest).ids)
    wanted = expected.compute()
    assert scores.pop("f1") == pytest.approx(wanted.pop("f1"), rel=1e-3)
    assert scores == pytest.approx(wanted, rel=1e-3)


def test_objects_of_a_plain_run_are_connected_pixels(make_run, folder, tmp_path):
    predict_paths(
        make_run(), str(folder / "a.png"), str(tmp_path / "out"), PredictOptions(format="instances")
    )
    ids = tifffile.imread(tmp_path / "out/a.tif")
    predict_paths(make_run(name="two"), str(folder / "a.png"), str(tmp_path / "mask"))
    with Image.open(tmp_path / "mask/a.png") as mask:
        np.testing.assert_array_equal(ids > 0, np.asarray(mask) == 1)


def test_formats_that_are_not_there_or_cannot_be_are_refused(make_run, folder, tmp_path):
    with pytest.raises(InputError, match="must be one of coco"):
        predict_paths(make_run(), str(folder), str(tmp_path / "o"), PredictOptions(format="zip"))
    with pytest.raises(InputError, match="may overlap"):
        predict_paths(
            make_run("multilabel", name="bits"),
            str(folder),
            str(tmp_path / "o"),
            PredictOptions(format="coco"),
        )
