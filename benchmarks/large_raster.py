"""Peak memory of packing and of predicting one large GeoTIFF.

    python benchmarks/large_raster.py --side 20000 --bands 3 --work build/large
    python benchmarks/large_raster.py --side 6000 --bands 1 --work build/large   # a minute

The raster is noise over blobs in 8 bits, deflated in tiles of 512 px; the mask is a GeoTIFF of the blobs on
its grid. Both commands run as a user runs them, and what is measured is the largest resident set of their
process (ru_maxrss, which counts pages of mapped files as well). The network has random weights: how it was
trained changes neither time nor memory.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import rasterio
import safetensors.torch
import torch
from common import markdown
from rasterio.transform import from_origin
from rasterio.windows import Window

from unetpp.config.run import RunConfig
from unetpp.config.sections.data import DataConfig
from unetpp.config.sections.model import ModelConfig
from unetpp.core.rundir import RunDir
from unetpp.core.storage import open_storage
from unetpp.data.dataset.manifests import load_manifest
from unetpp.models.build import build_model
from unetpp.models.load import MODEL_FILE

_BLOCK_PX = 512
_BLOB_PX = 96


def main() -> None:
    options = _options()
    work = Path(options.work)
    images, masks, data, run, out = (work / name for name in ("images", "masks", "data", "run", "out"))
    images.mkdir(parents=True, exist_ok=True)
    masks.mkdir(exist_ok=True)
    _write(images / "scene.tif", masks / "scene.tif", options.side, options.bands)
    pack = ["data", "pack", "--images", str(images), "--masks", str(masks), "--out", str(data)]
    pack += ["--tile", "512", "--val", "0", "--test", "0", "--workers", "0", "--overwrite"]
    rows = [("pack --tile 512", *_measured(pack))]
    _write_run(run, data, options.width)
    predict = ["predict", str(run), str(images), "--out", str(out), "--overwrite"]
    rows.append(("predict", *_measured(predict)))
    print(
        f"{options.side} x {options.side} px, {options.bands} bands; network: depth 1, width {options.width}"
    )
    print(markdown(["command", "peak memory, MiB", "seconds", "megapixels/s"], [
        (name, round(peak / 2**20), round(seconds), round(options.side**2 / 1e6 / seconds, 1))
        for name, peak, seconds in rows
    ]))  # fmt: skip


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--side", type=int, default=20_000, help="pixels of each side")
    parser.add_argument("--bands", type=int, default=3)
    parser.add_argument("--width", type=int, default=4, help="channels of the network's first level")
    parser.add_argument("--work", default="build/large", help="folder for everything")
    return parser.parse_args()


def _write(image: Path, mask: Path, side: int, bands: int) -> None:
    profile = {
        "driver": "GTiff", "height": side, "width": side, "dtype": "uint8", "crs": "EPSG:32616",
        "transform": from_origin(5e5, 4e6, 0.5, 0.5), "tiled": True, "blockxsize": _BLOCK_PX,
        "blockysize": _BLOCK_PX, "compress": "deflate", "zlevel": 1,
    }  # fmt: skip
    random = np.random.default_rng(0)
    with (
        rasterio.open(image, "w", count=bands, **profile) as pixels,
        rasterio.open(mask, "w", count=1, **profile) as labels,
    ):
        for top in range(0, side, _BLOCK_PX):
            for left in range(0, side, _BLOCK_PX):
                window = Window(left, top, min(_BLOCK_PX, side - left), min(_BLOCK_PX, side - top))
                rows, columns = (np.arange(start, start + _BLOCK_PX) for start in (top, left))
                blobs = np.sin(rows / _BLOB_PX)[:, None] * np.sin(columns / _BLOB_PX) > 0.5
                inside = blobs[: window.height, : window.width].astype(np.uint8)
                noise = random.integers(0, 32, (bands, *inside.shape), dtype=np.uint8)
                pixels.write(noise + 60 + 100 * inside, window=window)
                labels.write(inside, 1, window=window)


def _write_run(run: Path, data: Path, width: int) -> None:
    manifest = load_manifest(open_storage(data))
    model = ModelConfig(
        in_channels=manifest.channels, num_classes=manifest.num_classes, depth=1, width=width, image_classes=0
    )
    config = RunConfig(data=DataConfig(uri=str(data), batch_size=2, crop=256), model=model, out=str(run))
    folder = RunDir(config.run_uri)
    folder.create(config.model_dump(mode="json"), [], manifest, {"version": "0"})
    torch.manual_seed(0)
    state = safetensors.torch.save(build_model(model).state_dict())
    folder.checkpoints.save(1, {MODEL_FILE: state})
    folder.checkpoints.mark_best(1, 0.5)


def _measured(arguments: Sequence[str]) -> tuple[int, float]:
    """Largest resident set, in bytes, and seconds of a command."""
    print("$ unetpp", *arguments, flush=True)
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "unetpp", *arguments, "--json"], stdout=subprocess.PIPE)
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"the command failed: {output.decode()}")
    print(json.loads(output.splitlines()[-1]), flush=True)
    return usage.ru_maxrss * 1024, time.perf_counter() - start


if __name__ == "__main__":
    main()
