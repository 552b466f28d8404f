"""Prediction and evaluation by a pool on Ray: the bytes of one process, from and to S3, through kills."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image

from unetpp.api.predicting import predict_images
from unetpp.cli.main import run as command
from unetpp.core.errors import ConfigError, UserError
from unetpp.core.storage import open_storage
from unetpp.inference.batch import PredictOptions, predict_paths
from unetpp.inference.inputs import find_images
from unetpp.inference.many.work import PredictWork
from unetpp.pool.ray_pool import RayPool
from untrained_run import write_untrained_run

COUNT = 40
KILLED_COUNT = 160
START_TIMEOUT_S = 120.0


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_untrained_run(tmp_path_factory.mktemp("run"))


def write_tiles(root, count):
    root.mkdir()
    for index in range(count):
        pixels = np.random.default_rng(index).integers(0, 255, (24, 24 + index % 3, 3), np.uint8)
        Image.fromarray(pixels).save(root / f"tile-{index:03d}.png")
    return root


@pytest.fixture
def images(tmp_path):
    """Tiles and one damaged file."""
    root = write_tiles(tmp_path / "in", COUNT)
    (root / "broken.png").write_bytes(b"\x89PNG rubbish")
    return root


def written(uri):
    storage = open_storage(uri)
    return {path: storage.read(path) for path in storage.list() if path.endswith((".png", ".json"))}


@pytest.mark.ray
@pytest.mark.s3
@pytest.mark.usefixtures("ray_cluster", "s3_env")
def test_pool_predicts_a_packed_dataset_in_a_bucket_as_one_process_does(run, s3_server, tmp_path):
    bucket = s3_server.new_bucket()
    packed, source = open_storage(f"{run}-data"), open_storage(f"{bucket}/data")
    for path in packed.list():
        source.put(packed.local_path(path), path)
    options = PredictOptions(split="val")
    predict_paths(run, f"{run}-data", str(tmp_path / "here"), options)
    found = predict_images(run, (source.uri, f"{bucket}/out"), options, workers=2)
    assert (found["split"], found["predicted"]) == ("val", 4)
    assert written(f"{bucket}/out") == written(tmp_path / "here")


@pytest.mark.ray
@pytest.mark.s3
@pytest.mark.usefixtures("ray_cluster", "s3_env")
@pytest.mark.parametrize("form", [None, "coco"])
def test_pool_writes_to_s3_what_one_process_writes(run, images, s3_server, tmp_path, form):
    bucket = s3_server.new_bucket()
    source = open_storage(f"{bucket}/in")
    for path in images.iterdir():
        source.put(path, path.name)
    options = PredictOptions(format=form)
    here = predict_paths(run, str(images), str(tmp_path / "here"), options)
    told = []
    pool = predict_images(
        run,
        (f"{bucket}/in", f"{bucket}/out"),
        options,
        workers=2,
        on_image=lambda done, total: told.append((done, total)),
    )
    for found in (here, pool):
        assert (found["images"], found["predicted"]) == (COUNT + 1, COUNT)
        assert [entry["file"] for entry in found["failed"]] == ["broken.png"]
    assert here["failed"] == pool["failed"]
    assert told == [(number, COUNT + 1) for number in range(1, COUNT + 2)]
    ours = {path: data for path, data in written(f"{bucket}/out").items() if not path.startswith(".predict")}
    assert ours == {
        path: data for path, data in written(tmp_path / "here").items() if not path.startswith(".predict")
    }


@pytest.mark.ray
@pytest.mark.usefixtures("ray_cluster")
def test_pool_on_a_model_that_its_nodes_cannot_read_says_so(images, tmp_path):
    work = PredictWork((str(tmp_path / "gone"),), str(tmp_path / "out"), PredictOptions())
    with pytest.raises(UserError, match="gone"):
        list(RayPool(1)(work, find_images(str(images)).images))


@pytest.mark.ray
@pytest.mark.usefixtures("ray_cluster")
def test_evaluation_by_a_pool_tells_and_writes_what_one_process_does(tmp_path, capsys):
    run = write_untrained_run(tmp_path, sizes=[(24, 24)] * 150)
    found, lines = [], []
    for workers in (0, 1, 2):
        out = tmp_path / str(workers)
        assert command(["evaluate", run, "--workers", str(workers), "--out", str(out), "--json"]) == 0
        found.append(json.loads(capsys.readouterr().out))
        files = sorted(out.glob("evaluations/test/*"))
        lines.append({path.name: path.read_bytes() for path in files})
    assert found[0]["rows"] == 150
    assert len(lines[0]) > 2
    for shared, written_files in zip(found[1:], lines[1:], strict=True):
        for told in ("dice", "intervals", "levels", "confusion", "certainty", "calibration", "worst"):
            assert shared[told] == found[0][told]
        assert written_files == lines[0]


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.timeout(300)
def test_killed_command_is_resumed_and_nothing_is_predicted_twice(run, tmp_path):
    images = write_tiles(tmp_path / "in", KILLED_COUNT)
    predict_paths(run, str(images), str(tmp_path / "whole"))
    out = tmp_path / "out"
    words = ["predict", run, str(images), "--out", str(out), "--workers", "2"]
    killed = subprocess.Popen([sys.executable, "-m", "unetpp", *words])
    limit = time.monotonic() + START_TIMEOUT_S
    while len(list(out.glob("*.png"))) < 8:
        assert time.monotonic() < limit
        with suppress(subprocess.TimeoutExpired):
            pytest.fail(f"it ended with {killed.wait(0.02)}")  # a pause that ends early
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    before = {path.name: path.stat().st_mtime_ns for path in out.glob("*.png")}
    assert len(before) < KILLED_COUNT
    assert command([*words, "--resume"]) == 0
    after = {path.name: path.stat().st_mtime_ns for path in out.glob("*.png")}
    assert {name: after[name] for name in before} == before
    assert written(out) == written(tmp_path / "whole")


@pytest.mark.parametrize("options", [{"workers": -1}, {"gpus_per_worker": -0.5, "workers": 1}])
def test_pool_size_out_of_range_is_refused(run, images, tmp_path, options):
    with pytest.raises(ConfigError, match="must be at least 0"):
        predict_images(run, (str(images), str(tmp_path / "out")), PredictOptions(), **options)
