"""How many bytes pixels take in a shard, and how fast they come out of it, beside other lossless codings.

Images of a packed dataset, coded one by one on one thread; processor time, the least of three rounds. Rates
are of decoded bytes. Prints a table for each dataset.

    python benchmarks/shard_coding.py camvid=CAMVID nuclei=NUCLEI --images 16
"""

import argparse
import itertools
import time
from collections.abc import Callable, Sequence
from typing import Any

import imagecodecs
import numpy as np
import pyarrow as pa
from common import markdown
from numpy.typing import NDArray

from unetpp.core.storage import open_storage
from unetpp.data.dataset.manifests import load_manifest
from unetpp.data.dataset.parquet import iter_samples
from unetpp.data.dataset.pixel_coding import CODINGS, choose_coding, decode_pixels, encode_pixels

Image = NDArray[Any]
Coder = tuple[Callable[[Image], bytes], Callable[[bytes, Image], Image]]
"""Encodes an image; decodes the bytes of one that looks like another."""
_ROUNDS = 3


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("datasets", nargs="+", help="NAME=URI of packed datasets")
    parser.add_argument("--images", type=int, default=16, help="first ones of each training split")
    arguments = parser.parse_args()
    for entry in arguments.datasets:
        name, _, uri = entry.partition("=")
        storage = open_storage(uri)
        samples = iter_samples(storage, load_manifest(storage), "train")
        images = [sample.image for sample in itertools.islice(samples, arguments.images)]
        print(f"\n{name}: {len(images)} images, {images[0].dtype}; a shard takes {choose_coding(images)}\n")
        print(table(images))


def table(images: Sequence[Image]) -> str:
    """A row for each coding that can hold these images."""
    raw_bytes = sum(image.nbytes for image in images)
    pixels = sum(image.size // image.shape[-1] for image in images)
    rows = []
    for name, (encode, decode) in coders().items():
        try:
            coded, encode_s = timed(encode, images)
            decoded, decode_s = timed(decode, coded, images)
        except (ValueError, NotImplementedError, RuntimeError):
            rows.append([name, "cannot hold them", "", "", ""])
            continue
        if any(one.tobytes() != image.tobytes() for one, image in zip(decoded, images, strict=True)):
            raise SystemExit(f"{name} does not give back what it was given")
        size = sum(map(len, coded))
        rates = [f"{raw_bytes / seconds / 1e6:.0f}" for seconds in (encode_s, decode_s)]
        rows.append([name, f"{size / pixels:.2f}", f"{size / raw_bytes:.3f}", *rates])
    return markdown(["coding", "bytes a pixel", "of raw", "encode MB/s", "decode MB/s"], rows)


def timed(run: Callable[..., Any], *arguments: Sequence[Any]) -> tuple[list[Any], float]:
    """The results for all arguments, and the least processor time they took."""
    seconds = []
    for _ in range(_ROUNDS):
        start = time.process_time()
        results = list(map(run, *arguments))
        seconds.append(time.process_time() - start)
    return results, min(seconds)


def coders() -> dict[str, Coder]:
    """By name: what shards held, what they hold, and what they could hold."""
    codecs = {
        "lz4": pa.Codec("lz4_raw"),
        "zstd 1": pa.Codec("zstd", compression_level=1),
        "zstd 3": pa.Codec("zstd", compression_level=3),
    }
    return {
        "raw, lz4 (schema_version 1)": _coded(codecs["lz4"], "raw"),
        **{f"{coding}, {name}": _coded(codecs[name], coding) for coding in CODINGS for name in ("zstd 1",)},
        "left, lz4": _coded(codecs["lz4"], "left"),
        "left, zstd 3": _coded(codecs["zstd 3"], "left"),
        "PNG, level 1": _library("png", level=1),
        "JPEG-LS": _library("jpegls"),
        "JPEG XL, effort 1": _library("jpegxl", lossless=True, effort=1, numthreads=1),
        "JPEG XL, effort 3": _library("jpegxl", lossless=True, effort=3, numthreads=1),
        "WebP": _library("webp", lossless=True, level=0),
        "QOI": _library("qoi"),
        "Blosc2, shuffled zstd": _library("blosc2", level=1, compressor="zstd", numthreads=1),
        "Pcodec": _shaped("pcodec"),
    }


def _coded(codec: pa.Codec, coding: str) -> Coder:
    def encode(image: Image) -> bytes:
        if coding == "left-green" and image.shape[-1] != 3:
            raise ValueError("needs three channels")
        return bytes(codec.compress(encode_pixels(image, coding)))

    def decode(data: bytes, like: Image) -> Image:
        out = np.empty_like(like)
        decode_pixels(np.frombuffer(codec.decompress(data, like.nbytes), np.uint8), out, coding)
        return out

    return encode, decode


def _library(name: str, **options: Any) -> Coder:
    encoder, decoder = (getattr(imagecodecs, f"{name}_{verb}") for verb in ("encode", "decode"))

    def encode(image: Image) -> bytes:
        return bytes(encoder(image[..., 0] if image.shape[-1] == 1 else image, **options))

    def decode(data: bytes, like: Image) -> Image:
        found = decoder(data)
        pixels = np.frombuffer(found, like.dtype) if isinstance(found, bytes) else found
        return pixels.reshape(like.shape)

    return encode, decode


def _shaped(name: str) -> Coder:
    encode, decode = (getattr(imagecodecs, f"{name}_{verb}") for verb in ("encode", "decode"))
    return encode, lambda data, like: decode(data, shape=like.shape, dtype=like.dtype)


if __name__ == "__main__":
    main()
