"""The samples of the reading benchmark, as PNG files and in the format of every reader.

Rivals store raw pixels, as we do, so that none pays for decoding; the PNG folder is what people start from.
"""

import io
import itertools
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image
from reading_libraries import import_litdata, import_mosaic

_SIDE_PX = 256
_SCENES = 32
"""Distinct images; the others are shifts of them, brighter or darker, and compress like them."""
_SHARD_BYTES = 64 * 2**20
_SMALL = 64
_MDS_COLUMNS = {"image": "ndarray:uint8:256,256,3", "mask": "ndarray:uint8:256,256"}

Pair = tuple[NDArray[np.uint8], NDArray[np.uint8]]


def make_pngs(folder: Path, count: int) -> None:
    """Write `images/` and `masks/` of `count` RGB pairs of 256 px, 100 KiB each; keeps what is there."""
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    scenes = [_scene(index) for index in range(min(_SCENES, count))]
    for index in range(count):
        image_file = folder / "images" / f"{index:06d}.png"
        if image_file.exists():
            continue
        image, mask = _variant(*scenes[index % len(scenes)], index)
        Image.fromarray(mask).save(folder / "masks" / image_file.name)
        Image.fromarray(image).save(image_file, compress_level=3)


def pairs(folder: Path) -> Iterator[Pair]:
    """Decoded images and masks in the order of their names."""
    for image_file in sorted((folder / "images").iterdir()):
        yield (
            np.asarray(Image.open(image_file)),
            np.asarray(Image.open(folder / "masks" / image_file.name)),
        )


def pack_ours(pngs: Path, out: Path) -> None:
    """`unetpp data pack`, every sample in the train split."""
    images, masks = str(pngs / "images"), str(pngs / "masks")
    command = [sys.executable, "-m", "unetpp", "data", "pack", "--images", images, "--masks", masks]
    subprocess.run([*command, "--out", str(out), "--val", "0", "--test", "0", "--workers", "1"], check=True)


def pack_small(pngs: Path, out: Path) -> None:
    """The first samples alone, which a reader of the whole dataset can be compared with."""
    with tempfile.TemporaryDirectory() as few:
        for kind in ("images", "masks"):
            (Path(few) / kind).mkdir()
            for file in sorted((pngs / kind).iterdir())[:_SMALL]:
                shutil.copy(file, Path(few) / kind)
        pack_ours(Path(few), out)


def pack_litdata(pngs: Path, out: Path) -> None:
    litdata = import_litdata()
    writer = litdata.streaming.writer.BinaryWriter(str(out), chunk_bytes=_SHARD_BYTES)
    out.mkdir(parents=True, exist_ok=True)
    for index, (image, mask) in enumerate(pairs(pngs)):
        writer.add_item(index, {"image": image, "mask": mask})
    writer.done()
    writer.merge()


def pack_mosaic(pngs: Path, out: Path) -> None:
    streaming = import_mosaic()
    with streaming.MDSWriter(out=str(out), columns=_MDS_COLUMNS, size_limit=_SHARD_BYTES) as writer:
        for image, mask in pairs(pngs):
            writer.write({"image": image, "mask": mask})


def pack_webdataset(pngs: Path, out: Path) -> None:
    """Tar files of raw .npy members; the format needs no library."""
    out.mkdir(parents=True, exist_ok=True)
    per_shard = _SHARD_BYTES // (4 * _SIDE_PX**2)
    for shard, group in enumerate(_batched(enumerate(pairs(pngs)), per_shard)):
        with tarfile.open(out / f"{shard:05d}.tar", "w") as tar:
            for index, (image, mask) in group:
                _add_member(tar, f"{index:06d}.image.npy", image)
                _add_member(tar, f"{index:06d}.mask.npy", mask)


def pack_arrow(pngs: Path, out: Path) -> None:
    """One uncompressed Arrow file of fixed-size rows, for the memory-mapped loop."""
    sizes = {"image": 3 * _SIDE_PX**2, "mask": _SIDE_PX**2}
    schema = pa.schema([pa.field(name, pa.binary(size)) for name, size in sizes.items()])
    out.mkdir(parents=True, exist_ok=True)
    with pa.OSFile(str(out / "all.arrow"), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        for image, mask in pairs(pngs):
            columns = [pa.array([pixels.tobytes()], pa.binary(pixels.size)) for pixels in (image, mask)]
            writer.write_batch(pa.record_batch(columns, schema))


def _batched(items: Iterator[tuple[int, Pair]], size: int) -> Iterator[list[tuple[int, Pair]]]:
    while group := list(itertools.islice(items, size)):
        yield group


def _add_member(tar: tarfile.TarFile, name: str, pixels: NDArray[np.uint8]) -> None:
    stream = io.BytesIO()
    np.save(stream, pixels)
    member = tarfile.TarInfo(name)
    member.size = stream.tell()
    stream.seek(0)
    tar.addfile(member, stream)


def _scene(index: int) -> Pair:
    """Soft blobs under noise: compresses about as a photograph does."""
    random = np.random.default_rng(index)
    coarse = random.uniform(0, 255, (24, 24, 3)).astype(np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((_SIDE_PX, _SIDE_PX), Image.Resampling.BICUBIC))
    noise = random.normal(0, 4, smooth.shape)
    image = np.clip(smooth + noise, 0, 255).astype(np.uint8)
    return image, (smooth[..., 0] > 170).astype(np.uint8)


def _variant(image: NDArray[np.uint8], mask: NDArray[np.uint8], index: int) -> Pair:
    random = np.random.default_rng([index, 1])
    shift = tuple(random.integers(0, _SIDE_PX, 2).tolist())
    change = int(random.integers(-40, 40))
    moved = np.roll(image, shift, (0, 1)).astype(np.int16) + change
    return np.clip(moved, 0, 255).astype(np.uint8), np.roll(mask, shift, (0, 1))
