"""What checking every byte costs: sha256 of shards as they arrive, crc32 of cache entries at first sight.

Packs synthetic 256-pixel RGB pairs, then takes the CPU time of each part of reading them once. Best of five.

    python benchmarks/verification.py --work build/verification
"""

import argparse
import hashlib
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from common import markdown
from PIL import Image

from unetpp.core.storage import open_storage
from unetpp.data.cache.entry import is_intact, map_entry
from unetpp.data.cache.shard_cache import ShardCache
from unetpp.data.dataset.manifests import load_manifest
from unetpp.data.dataset.parquet import parse_shard
from unetpp.data.pack.discover import SourceFolder
from unetpp.data.pack.options import PackOptions
from unetpp.data.pack.pack import pack

_IMAGES, _SIDE_PX = 512, 256
_ROUNDS = 5
_LIMIT_BYTES = 2**32
_RATE = 1000
"""Images per second of a fast accelerator, to put the cost beside."""


def _write_pairs(folder: Path) -> None:
    """Discs of noisy colours on a noisy ground."""
    generator = np.random.default_rng(0)
    rows, columns = np.indices((_SIDE_PX, _SIDE_PX))
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for index in range(_IMAGES):
        centre = generator.uniform(0.2, 0.8, 2) * _SIDE_PX
        mask = np.hypot(rows - centre[0], columns - centre[1]) < 0.2 * _SIDE_PX
        colours = generator.integers(40, 200, (2, 3))
        image = colours[mask.astype(int)] + generator.normal(0, 15, (_SIDE_PX, _SIDE_PX, 3))
        Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(folder / "images" / f"{index:04d}.png")
        Image.fromarray(mask.astype(np.uint8)).save(folder / "masks" / f"{index:04d}.png")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", required=True, type=Path)
    work: Path = parser.parse_args().work
    uri = str(work / "dataset")
    if not Path(uri).exists():
        _write_pairs(work / "scene")
        source = SourceFolder(str(work / "scene" / "images"), str(work / "scene" / "masks"))
        pack([source], uri, PackOptions(val=0, test=0))
    storage = open_storage(uri)
    shards = load_manifest(storage).splits["train"].shards
    blobs = [storage.read(shard.name) for shard in shards]
    tables = [parse_shard(blob, shard) for blob, shard in zip(blobs, shards, strict=True)]
    cache = ShardCache(work / "cache", _LIMIT_BYTES)
    for shard, table in zip(shards, tables, strict=True):
        cache.put(shard.sha256, [table], table.nbytes, ())
    entries = sorted((work / "cache" / "entries").iterdir())
    parts: dict[str, Callable[[], object]] = {
        "sha256 of the shards": lambda: [hashlib.sha256(blob).digest() for blob in blobs],
        "read and decode the shards": lambda: [
            parse_shard(storage.read(shard.name), shard) for shard in shards
        ],
        "crc32 of the cache entries": lambda: [is_intact(map_entry(path)) for path in entries],
    }
    rows = []
    for name, part in parts.items():
        each_s = _best_s(part) / _IMAGES
        rows.append([name, f"{each_s * 1e6:.0f} us", f"{each_s * _RATE:.1%}"])
    print(markdown(["part", "per pair", f"of one core at {_RATE} images/s"], rows))


def _best_s(part: Callable[[], object]) -> float:
    times = []
    for _ in range(_ROUNDS):
        started_s = time.process_time()
        part()
        times.append(time.process_time() - started_s)
    return min(times)


if __name__ == "__main__":
    main()
