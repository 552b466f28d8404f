"""A served model under load: latency and images per second by number of clients, against the bare model.

The server runs as users start it, on the loopback interface; the bare model predicts the same images one
after another in this process, first and last.

    python benchmarks/serving.py --run runs/first --images DSB/images
"""

import argparse
import json
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from common import markdown

from unetpp.serving.segmenter import Segmenter

_CLIENTS = (1, 8, 32)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", required=True, help="a trained run")
    parser.add_argument("--images", type=Path, required=True, help="folder of images it takes")
    parser.add_argument("--count", type=int, default=96, help="requests for each number of clients")
    parser.add_argument("--threads", type=int, default=1, help="of the bare model; the server takes its own")
    arguments = parser.parse_args()
    files = sorted(path for path in arguments.images.iterdir() if path.is_file())
    bodies = [files[index % len(files)].read_bytes() for index in range(arguments.count)]
    torch.set_num_threads(arguments.threads)
    rows = [("bare model", *_bare(arguments.run, bodies))]
    command = [sys.executable, "-m", "unetpp", "serve", arguments.run, "--port", "0", "--json"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        url = json.loads(next(line for line in server.stdout if line.startswith("{")))["url"]
        _load(url, bodies[:8], 1)
        rows += [(f"{clients} clients", *_load(url, bodies, clients)) for clients in _CLIENTS]
    finally:
        server.terminate()
        server.wait()
    rows.append(("bare model again", *_bare(arguments.run, bodies)))
    print(markdown(("", "p50 ms", "p99 ms", "images/s"), rows))


def _bare(run: str, bodies: list[bytes]) -> tuple[float, float, float]:
    segmenter = Segmenter(run, None, 1000.0)
    segmenter.answer([segmenter.decode(bodies[0])], ["png"])
    return _timed(lambda body: segmenter.answer([segmenter.decode(body)], ["png"]), bodies, 1)


def _load(url: str, bodies: list[bytes], clients: int) -> tuple[float, float, float]:
    def ask(body: bytes) -> None:
        with urllib.request.urlopen(urllib.request.Request(f"{url}/predict", body)) as response:
            response.read()

    return _timed(ask, bodies, clients)


def _timed(ask, bodies: list[bytes], clients: int) -> tuple[float, float, float]:
    """Median and 99th percentile of a request in ms, and images per second."""

    def one(body: bytes) -> float:
        started_s = time.perf_counter()
        ask(body)
        return time.perf_counter() - started_s

    started_s = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        seconds = list(pool.map(one, bodies))
    p50, p99 = np.percentile(seconds, [50, 99]) * 1000
    return float(p50), float(p99), len(bodies) / (time.perf_counter() - started_s)


if __name__ == "__main__":
    main()
