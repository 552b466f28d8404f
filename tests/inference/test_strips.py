"""Large rasters: the masks of whole images, from reads that never exceed a strip."""

from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import rasterio
import torch
from rasterio.transform import from_origin

from unetpp.core.errors import InputError
from unetpp.core.manifest import IGNORE
from unetpp.data.images.header import Header
from unetpp.data.sources.raster import Pixels, Space
from unetpp.inference import strips
from unetpp.inference.batch import PredictOptions, predict_paths
from unetpp.inference.export import export_run
from unetpp.inference.many import reading
from unetpp.inference.objects import small
from unetpp.inference.predictor import Predictor
from unetpp.inference.strips import is_large, segment_large
from unetpp.inference.volumes import STEPS
from unetpp.models.inference import predict_logits
from unetpp.models.load import load_run
from unetpp.models.output import ModelOutput
from unetpp.models.strips import predict_strips

CPU = torch.device("cpu")


class Recording:
    """A raster in memory that reads by windows and remembers how many rows were asked for."""

    block_px = (16, 16)
    space = Space()
    digest = b""

    def __init__(self, pixels, valid=None):
        self.pixels, self.valid, self.rows = pixels, valid, []
        self.header = Header(*pixels.shape, pixels.dtype.name)

    def read(self, box=None):
        assert box is not None, "the whole was read"
        self.rows.append(box.height)
        part = np.s_[box.top : box.top + box.height, box.left : box.left + box.width]
        valid = None if self.valid is None or self.valid[part].all() else self.valid[part]
        return Pixels(self.pixels[part], valid)


@pytest.mark.parametrize("size", [(70, 90), (90, 70), (20, 200), (200, 20), (33, 33), (128, 128), (5, 300)])
def test_strips_are_the_logits_of_the_whole(make_run, size):
    model = load_run(make_run()).model.eval()
    image = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 3, *size)).astype(np.float32))
    with torch.inference_mode():
        whole = predict_logits(model, image, window_px=(32, 24)).levels[-1][0]
        parts = list(
            predict_strips(
                model, size, lambda top, stop: image[:, :, top:stop], window_px=(32, 24), device=CPU
            )
        )
    assert [top for top, _ in parts] == np.cumsum([0, *(part.shape[1] for _, part in parts)])[:-1].tolist()
    torch.testing.assert_close(torch.cat([part for _, part in parts], dim=1), whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_a_large_raster_has_the_mask_of_a_whole_one_without_being_read_whole(make_run, task):
    predictor = Predictor.from_run(make_run(task))
    predictor._windows.size_px = (32, 32)
    pixels = np.random.default_rng(1).integers(0, 255, (150, 90, 3), np.uint8)
    raster = Recording(pixels)
    expected = predictor.predict(pixels)
    with segment_large(predictor, raster, probabilities=True) as found:
        assert (found.mask != expected.mask).mean() < 1e-3  # where rounding decides
        assert found.valid is None
        levels = np.moveaxis(found.probabilities, -1, 0) - expected.probabilities * STEPS
        assert np.abs(levels).max() < 1
    assert max(raster.rows) <= 32
    assert sum(raster.rows) < 2 * 150


class ChannelsAsLogits(torch.nn.Module):
    """A network whose classes are the first channels of what it is given."""

    size_multiples = (1, 1)

    def __init__(self, classes):
        super().__init__()
        self.classes = classes

    def forward(self, images):
        return ModelOutput((images[:, : self.classes],), None)


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_a_large_raster_loses_the_small_objects_that_a_whole_one_loses(make_run, task, monkeypatch):
    monkeypatch.setattr(small, "_BAND_PX", 40 * 90)
    predictor = Predictor.of(make_run(task), min_object_px=6)
    predictor.model = ChannelsAsLogits(predictor.manifest.num_classes)
    generator = np.random.default_rng(1)
    # Values that are far from each other and from the mean: no rounding decides.
    spots = generator.permuted(np.tile(np.uint8([0, 120, 255]), (75, 45, 1)), axis=2)
    pixels = np.kron(spots, np.ones((2, 2, 1), np.uint8))
    expected, decision = predictor.mask(pixels), predictor.decision
    predictor.decision = replace(decision, min_object_px=0)
    assert (predictor.mask(pixels) != expected).any()
    predictor.decision = decision
    predictor._windows.size_px = (32, 32)
    with segment_large(predictor, Recording(pixels), probabilities=False) as found:
        np.testing.assert_array_equal(found.mask, expected)


def test_a_large_raster_tells_where_it_holds_no_data(make_run):
    predictor = Predictor.from_run(make_run())
    valid = np.ones((100, 60), np.bool_)
    valid[40:50, :30] = False
    pixels = np.full((100, 60, 3), 80, np.uint8)
    with segment_large(predictor, Recording(pixels, valid), probabilities=False) as found:
        np.testing.assert_array_equal(found.valid, valid)
        np.testing.assert_array_equal(found.mask == IGNORE, ~valid)


def test_a_model_of_resized_images_refuses_a_large_raster(make_run):
    predictor = Predictor.from_run(make_run(resized_px=16))
    raster = Recording(np.zeros((100, 60, 3), np.uint8))
    with (
        pytest.raises(InputError, match="data pack --tile"),
        segment_large(predictor, raster, probabilities=False),
    ):
        pass


def test_predict_of_a_large_geotiff_gives_what_it_gives_of_a_small_one(tmp_path, make_run, monkeypatch):
    (tmp_path / "in").mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (3, 120, 100), np.uint8)
    profile = {
        "driver": "GTiff", "height": 120, "width": 100, "count": 3, "dtype": "uint8", "crs": "EPSG:32616",
        "transform": from_origin(0, 0, 10, 10), "tiled": True, "blockxsize": 16, "blockysize": 16,
    }  # fmt: skip
    with rasterio.open(tmp_path / "in" / "a.tif", "w", **profile) as file:
        file.write(pixels)
    run = make_run()
    predict_paths(run, str(tmp_path / "in"), str(tmp_path / "small"))
    monkeypatch.setattr(strips, "_WHOLE_PIXELS", 1000)
    opened = []

    @contextmanager
    def recorded(files):
        with original(files) as raster:
            opened.append(is_large(raster))
            yield raster

    original = reading.open_channels
    monkeypatch.setattr(reading, "open_channels", recorded)
    for form, name in ((None, "a.tif"), ("png", "a.png"), ("geojson", "a.geojson")):
        options = PredictOptions(format=form, overlay=True, probabilities=form is None)
        result = predict_paths(run, str(tmp_path / "in"), str(tmp_path / "large"), options)
        assert result["failed"] == []
        assert (tmp_path / "large" / name).exists()
    assert opened == [True] * 6
    small, large = (tmp_path / folder / "a.tif" for folder in ("small", "large"))
    with rasterio.open(small) as one, rasterio.open(large) as other:
        assert (one.read() != other.read()).mean() < 1e-3
        assert one.transform == other.transform


def test_large_raster_is_predicted_by_an_exported_file_as_by_its_run(tmp_path, make_run, monkeypatch):
    (tmp_path / "in").mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (3, 96, 80), np.uint8)
    profile = {
        "driver": "GTiff", "height": 96, "width": 80, "count": 3, "dtype": "uint8",
        "tiled": True, "blockxsize": 16, "blockysize": 16,
    }  # fmt: skip
    with rasterio.open(tmp_path / "in" / "a.tif", "w", **profile) as file:
        file.write(pixels)
    monkeypatch.setattr(strips, "_WHOLE_PIXELS", 1000)
    run = make_run()
    export_run(run, tmp_path / "m.safetensors")
    for name, model in (("run", run), ("file", str(tmp_path / "m.safetensors"))):
        predict_paths(model, str(tmp_path / "in"), str(tmp_path / f"masks-{name}"))
    masks = [(tmp_path / f"masks-{name}" / "a.png").read_bytes() for name in ("run", "file")]
    assert masks[0] == masks[1]
