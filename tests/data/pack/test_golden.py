"""What packing writes is pinned: a change of it would make old and new datasets differ without a word.

Rows depend on this code and on how Pillow resizes; the bytes of a shard on pyarrow too.
"""

import hashlib
from pathlib import Path

import numpy as np
import pyarrow
import pytest

from unetpp.core.manifest import Manifest
from unetpp.core.storage import open_storage
from unetpp.data.dataset.parquet import iter_samples
from unetpp.data.pack.discover import SourceFolder
from unetpp.data.pack.pack import pack
from unetpp.data.pack.shard_plan import PackOptions

CASES = {
    "binary": PackOptions(val=0.2, test=0.2),
    "resized": PackOptions(val=0.2, test=0.2, size_px=16),
    "tiled": PackOptions(val=0.2, test=0.2, tile_px=16),
    "multiclass": PackOptions(val=0.2, test=0.2),
}
ROWS = {
    "binary": "6689df287a1179fd",
    "resized": "1a73b19dc1e49c01",
    "tiled": "77078efab913dd0b",
    "multiclass": "ef66001f4b8bb02a",
}
BYTES = {
    "26.0.1": {
        "binary": "44462157f2fdd4ab",
        "resized": "d7d26c2e270d4491",
        "tiled": "f8a6948f81dc8732",
        "multiclass": "e0563c5a9511a546",
    }
}


def write_sources(folder: Path, classes: int) -> SourceFolder:
    """Twelve NPY pairs of two sizes: no encoder has a part in their bytes."""
    values = np.random.Generator(np.random.Philox(7))
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    for index in range(12):
        height, width = (24, 40) if index % 3 else (32, 32)
        image = values.integers(0, 256, (height, width, 3), dtype=np.uint8)
        np.save(folder / f"images/s{index:02d}.npy", image)
        np.save(folder / f"masks/s{index:02d}.npy", (image[:, :, 0] // 64 % classes).astype(np.uint8))
    return SourceFolder(str(folder / "images"), str(folder / "masks"))


def packed(tmp_path: Path, case: str) -> tuple[Path, Manifest]:
    source = write_sources(tmp_path / "source", classes=3 if case == "multiclass" else 2)
    out = tmp_path / "dataset"
    return out, pack([source], str(out), CASES[case]).manifest


@pytest.mark.parametrize("case", CASES)
def test_rows_are_the_pinned_ones(tmp_path, case: str) -> None:
    out, manifest = packed(tmp_path, case)
    digest = hashlib.sha256(manifest.fingerprint.encode())
    for split in manifest.splits:
        for sample in iter_samples(open_storage(out), manifest, split):
            digest.update(f"{split} {sample.sample_id} {sample.group} {sample.image.shape}".encode())
            digest.update(sample.image.tobytes() + sample.mask.tobytes())
    assert digest.hexdigest()[:16] == ROWS[case]


@pytest.mark.parametrize("case", CASES)
def test_shards_are_the_pinned_ones_byte_for_byte(tmp_path, case: str) -> None:
    if pyarrow.__version__ not in BYTES:
        pytest.skip(f"bytes are pinned for pyarrow {', '.join(BYTES)}, this is {pyarrow.__version__}")
    out, _ = packed(tmp_path, case)
    digest = hashlib.sha256()
    for path in sorted(out.rglob("*.parquet")):
        digest.update(path.name.encode() + path.read_bytes())
    assert digest.hexdigest()[:16] == BYTES[pyarrow.__version__][case]
