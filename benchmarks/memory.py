"""Peak memory of packing and training at 1x and 10x the number of shards.

Packs 0.25 GiB and 2.5 GiB of 512-pixel images and trains an epoch on each, shuffling in windows of 64 MiB.
Adds up the proportional set size of every process below the command, object store included, and prints
the table of the README.

    python benchmarks/memory.py --work build/memory
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from common import markdown
from process_memory import MemorySampler

from unetpp.data.synthetic import make_cells

_SIDE_PX = 512
_DISTINCT = 32
_IMAGES = 512
"""Grey image and mask take 0.5 MiB each pair: a quarter of a GiB at 1x."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", required=True, type=Path)
    work: Path = parser.parse_args().work
    rows = []
    for factor in (1, 10):
        folder = work / f"x{factor}"
        _link_images(work / "cells", folder / "cells", _IMAGES * factor)
        images, masks = str(folder / "cells" / "images"), str(folder / "cells" / "masks")
        dataset = str(folder / "dataset")
        pack = _peak("data", "pack", "--images", images, "--masks", masks, "--out", dataset, "--workers", "2")
        train = _peak(
            "train", f"data.uri={dataset}", f"out={folder / 'run'}", "scale.workers=2", "data.batch_size=64",
            "data.crop=32",
            "data.window_bytes=67108864",
            "model.depth=1", "model.width=2", "train.epochs=1", "train.validate_every=1",
        )  # fmt: skip
        manifest = json.loads(next(Path(dataset).glob("manifest-*.json")).read_text())
        shards = [shard for split in manifest["splits"].values() for shard in split["shards"]]
        decoded = sum(shard["decoded_bytes"] for shard in shards)
        rows.append([f"{factor}x", len(shards), f"{decoded / 2**30:.1f} GiB", _mib(pack), _mib(train)])
    print(markdown(["size", "shards", "decoded", "peak of data pack", "peak of train"], rows))


def _link_images(source: Path, target: Path, count: int) -> None:
    """Many names for a few images: packing decodes and writes each of them anew."""
    if not source.exists():
        make_cells(source, count=_DISTINCT, size_px=_SIDE_PX, seed=0)
    for kind in ("images", "masks"):
        (target / kind).mkdir(parents=True, exist_ok=True)
        files = sorted((source / kind).iterdir())
        for index in range(count):
            link = target / kind / f"{index:06d}.png"
            if not link.exists():
                os.link(files[index % len(files)], link)


def _peak(*arguments: str) -> int:
    """Largest memory, in bytes, of a command with all its descendants."""
    print("$ unetpp", *arguments, flush=True)
    process = subprocess.Popen([sys.executable, "-m", "unetpp", *arguments], stdout=subprocess.DEVNULL)
    with MemorySampler(process.pid) as memory:
        code = process.wait()
    if code:
        raise SystemExit(f"the command ended with {code}")
    return memory.peak_bytes


def _mib(size: int) -> str:
    return f"{size / 2**20:.0f} MiB"


if __name__ == "__main__":
    main()
