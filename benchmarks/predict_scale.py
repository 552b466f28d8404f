"""Many small tiles from and to an S3 server through a pool of models: speed, memory, a kill in the middle.

The bare model is the same network in as many processes of one thread as the pool has workers, on tiles that
are decoded in memory, whose masks are dropped: neither server, files, PNG nor Ray. It runs before and after
the pool. The speed of the pool counts from the first name to the last mask, models loaded on the way. Where
other programs use the machine processor time says more: that of all processes of the command but the server,
of each tile beyond those of the row before, against that of the bare model.

    python benchmarks/predict_scale.py --work build/predict-scale --counts 100 1000 10000 --kill 1000
    python benchmarks/predict_scale.py --work build/predict-scale --side 128 --network 4 32 --counts 100 500
"""

import argparse
import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from common import markdown, s3_server, unetpp
from PIL import Image
from process_memory import MemorySampler, processor_seconds_of

from unetpp.data.synthetic import make_cells

_DISTINCT = 64
_WORKERS = 2
_ACTOR, _DRIVER = "ray::MapWorker", "unetpp\0predict"
_BARE_S = 8.0
_POLL_S = 0.2
_SERVER = ("--etag-hash", "", "--dir-cache-time", "1h")
"""Object stores neither hash an object when it is read nor list a folder for each request."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", required=True, type=Path)
    parser.add_argument(
        "--run", help="a trained run of grey or RGB images; by default a small one is trained"
    )
    parser.add_argument("--counts", nargs="+", type=int, default=[100, 1000, 10000], help="tiles")
    parser.add_argument(
        "--kill", type=int, default=0, help="of these counts the one whose call is killed, too"
    )
    parser.add_argument("--side", type=int, default=256, help="of a tile, in pixels")
    parser.add_argument(
        "--network", nargs=2, type=int, default=[2, 16], help="depth and width of the small one"
    )
    arguments = parser.parse_args()
    work: Path = arguments.work
    run = arguments.run or _small_run(work, *arguments.network)
    tiles = _tiles(work, arguments.side, _channels(run))
    served = work / "served"
    rows, before = [], _bare(run, tiles)
    cpu_s, counted = dict.fromkeys(("", _DRIVER, _ACTOR), 0.0), 0
    shutil.rmtree(served, ignore_errors=True)
    for count in {*arguments.counts, arguments.kill} - {0}:
        _link(tiles, served / "bench" / f"tiles-{count}", count)
    with s3_server(served, *_SERVER) as env:
        for count in arguments.counts:
            result, memory, taken_s = _predict(run, count, env)
            after = _bare(run, tiles)
            rate, bare, bare_ms = result["images_per_s"], (before[0] + after[0]) / 2, min(before[1], after[1])
            each_ms = [
                1000 * (taken_s[key] - cpu_s[key]) / (count - counted) for key in (_ACTOR, _DRIVER, "")
            ]
            shares = [bare_ms / each_ms[0], bare_ms / sum(each_ms)]
            told = [*(f"{ms:.1f}" for ms in (*each_ms, bare_ms)), *(f"{share:.2f}" for share in shares)]
            cpu = told if counted else ["-"] * len(told)
            peaks = [f"{memory.peak_of[title] / 2**20:.0f}" for title in (_DRIVER, _ACTOR)]
            rows.append([count, f"{rate:.1f}", f"{bare:.1f}", f"{rate / bare:.2f}", *cpu, *peaks])
            before, cpu_s, counted = after, taken_s, count
            print(rows[-1], flush=True)
        told = _killed(run, arguments.kill, served, env) if arguments.kill else ""
    rates = ("images/s", "bare model", "ratio")
    times = ("CPU ms a further tile: workers", "driver", "Ray", "bare model", "of the workers", "of all")
    print(markdown(["tiles", *rates, *times, "driver, MiB", "largest worker, MiB"], rows))
    print(told)


def _small_run(work: Path, depth: int, width: int) -> str:
    run, data, cells = work / f"run-{depth}-{width}", work / "dataset", work / "cells"
    if not run.exists():
        shutil.rmtree(cells, ignore_errors=True)
        make_cells(cells, count=32, size_px=64, seed=0)
        images, masks = str(cells / "images"), str(cells / "masks")
        unetpp("data", "pack", "--images", images, "--masks", masks, "--out", str(data), "--overwrite")
        network = (f"model.depth={depth}", f"model.width={width}")
        unetpp("train", f"data.uri={data}", f"out={run}", *network, "train.epochs=1")
    return str(run)


def _channels(run: str) -> int:
    return int(json.loads((Path(run) / "dataset.json").read_text())["channels"])


def _tiles(work: Path, side_px: int, channels: int) -> list[Path]:
    folder = work / f"distinct-{side_px}-{channels}"
    if not folder.exists():
        made = work / f"cells-{side_px}"
        make_cells(made, count=_DISTINCT, size_px=side_px, seed=1)
        folder.mkdir(parents=True)
        for path in sorted((made / "images").iterdir()):
            Image.open(path).convert("L" if channels == 1 else "RGB").save(folder / path.name)
    return sorted(folder.iterdir())


def _link(tiles: Sequence[Path], folder: Path, count: int) -> None:
    """Many names for a few tiles: each is fetched, decoded and predicted anew."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        link = folder / f"{index:06d}.png"
        if not link.exists():
            os.link(tiles[index % len(tiles)], link)


def _command(run: str, count: int, out: str, *options: str) -> list[str]:
    places = [run, f"s3://bench/tiles-{count}", "--out", f"s3://bench/{out}"]
    return [
        sys.executable,
        "-m",
        "unetpp",
        "predict",
        *places,
        "--workers",
        str(_WORKERS),
        "--json",
        *options,
    ]


def _predict(
    run: str, count: int, env: dict[str, str]
) -> tuple[dict[str, Any], MemorySampler, dict[str, float]]:
    """Result, memory, and seconds of processor time of the driver, the workers and Ray's other processes."""
    command = _command(run, count, f"masks-{count}", "--overwrite")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **env})
    cpu_s: dict[str, float] = {}
    with MemorySampler(process.pid, (_DRIVER, _ACTOR), every_s=5.0) as memory:
        while process.poll() is None:
            for title, taken_s in processor_seconds_of(process.pid, (_DRIVER, _ACTOR)).items():
                cpu_s[title] = max(cpu_s.get(title, 0.0), taken_s)
            time.sleep(_POLL_S)
    assert process.stdout is not None
    return json.loads(process.stdout.read().splitlines()[-1]), memory, cpu_s


def _bare(run: str, tiles: Sequence[Path]) -> tuple[float, float]:
    """Images per second of the model alone in all processes together, and CPU ms of an image."""
    with multiprocessing.get_context("spawn").Pool(_WORKERS) as pool:
        rates, cpu_ms = zip(*pool.starmap(_bare_rate, [(run, tiles)] * _WORKERS), strict=True)
    return sum(rates), min(cpu_ms)


def _bare_rate(run: str, tiles: Sequence[Path]) -> tuple[float, float]:
    import torch

    from unetpp.inference.predictor import Predictor

    torch.set_num_threads(1)
    predictor = Predictor.of(run)
    images = [np.asarray(Image.open(path)) for path in tiles]
    predictor.masks(images[:8])
    started_s, cpu_s, done = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - started_s < _BARE_S:
        done += len(predictor.masks(images[:16]))
    return done / (time.perf_counter() - started_s), 1000 * (time.process_time() - cpu_s) / done


def _killed(run: str, count: int, served: Path, env: dict[str, str]) -> str:
    """Kill a call once a third of its masks are there, go on with it, and compare with one that was not."""
    environment, out = {**os.environ, **env}, served / "bench" / f"killed-{count}"
    process = subprocess.Popen(_command(run, count, out.name), stdout=subprocess.DEVNULL, env=environment)
    while len(list(out.glob("*.png"))) < count // 3 and process.poll() is None:
        time.sleep(_POLL_S)
    process.send_signal(signal.SIGKILL)
    process.wait()
    time.sleep(5)  # what its workers still write
    before = {path.name: path.stat().st_mtime_ns for path in out.glob("*.png")}
    command = _command(run, count, out.name, "--resume")
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment, check=True)
    result = json.loads(done.stdout.splitlines()[-1])
    again = [name for name, stamp in before.items() if (out / name).stat().st_mtime_ns != stamp]
    unlike = _digests(out) ^ _digests(served / "bench" / f"masks-{count}")
    return (
        f"killed after {len(before)} of {count} masks; resumed {result['resumed']}, predicted "
        f"{result['predicted']}; {len(again)} written again, {len(unlike)} unlike those of the whole call"
    )


def _digests(folder: Path) -> set[tuple[str, str]]:
    return {(path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in folder.glob("*.png")}


if __name__ == "__main__":
    main()
