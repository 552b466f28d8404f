"""`unetpp serve` as clients meet it: a real server, real requests."""

import io
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image

from unetpp.inference.predictor import Predictor
from unetpp.serving.options import TOKEN_VARIABLE
from untrained_run import write_untrained_run

pytestmark = [pytest.mark.ray, pytest.mark.slow]

TOKEN = "opensesame"


@contextmanager
def served(run: str, *options: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """URL and process of a server that is ended with SIGTERM."""
    command = [sys.executable, "-m", "unetpp", "serve", run, "--port", "0", "--json", *options]
    environment = os.environ | {TOKEN_VARIABLE: TOKEN}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stdout is not None
        yield json.loads(next(line for line in process.stdout if line.startswith("{")))["url"], process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def answered(url: str, body: bytes | None = None, token: str = TOKEN) -> tuple[int, bytes]:
    request = urllib.request.Request(url, body, {"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_server_answers_clients_at_once_refuses_what_it_must_and_ends(tmp_path):
    run = write_untrained_run(tmp_path, "multiclass")
    photos = [
        np.random.default_rng(k).integers(0, 255, (20 + k % 3, 31, 3), dtype=np.uint8) for k in range(8)
    ]
    bodies = []
    for photo in photos:
        stream = io.BytesIO()
        Image.fromarray(photo).save(stream, "PNG")
        bodies.append(stream.getvalue())
    with served(run, "--max-body-mib", "0.05") as (url, process):
        status, told = answered(f"{url}/health")
        assert (status, json.loads(told)["classes"]) == (200, ["sky", "road", "car"])
        with ThreadPoolExecutor(8) as clients:
            answers = list(clients.map(lambda body: answered(f"{url}/predict", body), bodies))
        predictor = Predictor.from_run(run)
        for photo, (status, body) in zip(photos, answers, strict=True):
            assert status == 200
            mask = np.asarray(Image.open(io.BytesIO(body)))
            np.testing.assert_array_equal(mask, predictor.predict(photo).mask)
        refused = {
            401: answered(f"{url}/predict", bodies[0], token="wrong"),
            404: answered(f"{url}/other"),
            405: answered(f"{url}/predict"),
            400: answered(f"{url}/predict?format=gif", bodies[0]),
            413: answered(f"{url}/predict", bytes(100_000)),
            415: answered(f"{url}/predict", b"no image"),
        }
        assert {status: found for status, (found, _) in refused.items()} == {s: s for s in refused}
        assert all(json.loads(body)["error"] for _, body in refused.values())
    assert process.returncode == 0
