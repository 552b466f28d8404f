"""Nuclei as objects: a network that learns their borders against connected components of one that does not.

The image with 125 nuclei in the wheel of stardist 0.9.2 (512 x 512, 16 bit, from the 2018 Data Science
Bowl) is cut into quadrants: of each fold one is for testing, the next for validation, the two others for
training, as tiles of 128 px. Both networks see the same pixels and settings and are trained by the plain
loop of this folder; scores are summed over the folds.

    pip download --no-deps stardist==0.9.2 -d build
    unzip -d build build/stardist-0.9.2-*.whl 'stardist/data/*'
    python benchmarks/instances.py --data build/stardist/data/images --work build/instances
"""

import argparse
import copy
import json
from pathlib import Path

import numpy as np
import tifffile
import torch
from common import markdown
from numpy.typing import NDArray
from plain_loop import train_plain

from unetpp.config import load_config
from unetpp.core.manifest import Instances
from unetpp.data.pack.discover import SourceFolder
from unetpp.data.pack.masks.instances import BORDER_PX
from unetpp.data.pack.options import PackOptions
from unetpp.data.pack.pack import pack
from unetpp.inference.objects.find import find_objects
from unetpp.inference.predictor import probabilities_from_logits
from unetpp.models.normalise import Normalise
from unetpp.objective.instances import InstanceMetrics

_SIDE_PX = 256
_SETTINGS = ("model.depth=3", "model.width=16", "data.batch_size=4", "data.crop=128", "optim.lr=0.002")
_KINDS = ("border", "plain")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of img2d.tif and mask2d.tif")
    parser.add_argument("--work", type=Path, required=True, help="folder for data sets and runs")
    parser.add_argument("--epochs", type=int, default=120)
    parser.add_argument("--folds", type=int, default=4, help="of the four, how many")
    arguments = parser.parse_args()
    image = tifffile.imread(arguments.data / "img2d.tif")
    ids = tifffile.imread(arguments.data / "mask2d.tif").astype(np.uint16)
    scores = {kind: InstanceMetrics() for kind in _KINDS}
    for fold in range(arguments.folds):
        folder = arguments.work / f"fold{fold}"
        _write_quadrants(folder, image, ids, fold)
        truth = tifffile.imread(folder / "ids" / "test" / "q.tif").astype(np.int32)
        for kind in _KINDS:
            scores[kind].update(truth, _predict(folder, kind, arguments.epochs))
    found = {kind: metrics.compute() for kind, metrics in scores.items()}
    names = {"border": "border and watershed", "plain": "connected components"}
    rows = [
        (names[kind], *s["f1"].values(), s["pq"], s["aji"], s["predictions"]) for kind, s in found.items()
    ]
    heads = ("objects by", *(f"F1 at {t}" for t in found["plain"]["f1"]), "PQ", "AJI", "found")
    print(markdown(heads, rows))
    print(json.dumps(found))


def _write_quadrants(folder: Path, image: NDArray[np.uint16], ids: NDArray[np.uint16], fold: int) -> None:
    corners = [(0, 0), (0, _SIDE_PX), (_SIDE_PX, _SIDE_PX), (_SIDE_PX, 0)]
    for index, (top, left) in enumerate(corners):
        split = {fold: "test", (fold + 1) % 4: "val"}.get(index, "train")
        name = "q" if split != "train" else f"q{index}"
        quadrant = np.s_[top : top + _SIDE_PX, left : left + _SIDE_PX]
        for kind, pixels in (("images", image), ("ids", ids), ("foreground", (ids > 0).astype(np.uint8))):
            place = folder / kind / split
            place.mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(place / f"{name}.tif", pixels[quadrant])


def _predict(folder: Path, kind: str, epochs: int) -> NDArray[np.int32]:
    """Objects in the test quadrant."""
    masks = "ids" if kind == "border" else "foreground"
    folders = [
        SourceFolder(f"{folder}/images/{split}", f"{folder}/{masks}/{split}", split)
        for split in ("train", "val", "test")
    ]
    instances = Instances(kind="border", border_px=BORDER_PX) if kind == "border" else None
    data = f"{folder}/{kind}-data"
    manifest = pack(folders, data, PackOptions(tile_px=128, instances=instances), overwrite=True).manifest
    config = load_config(None, [f"data.uri={data}", f"train.epochs={epochs}", *_SETTINGS])
    best: list[torch.nn.Module] = []
    print(kind, train_plain(config, on_best=lambda model: best.append(copy.deepcopy(model))), flush=True)
    pixels = tifffile.imread(folder / "images" / "test" / "q.tif").astype(np.float32)[None, None]
    with torch.inference_mode():
        normalised = Normalise(manifest.channel_stats)(torch.from_numpy(pixels))
        logits = best[-1].eval()(normalised).levels[-1]
    probabilities = probabilities_from_logits(logits.float(), manifest.task)[0].numpy()
    return find_objects(probabilities, manifest).ids


if __name__ == "__main__":
    main()
