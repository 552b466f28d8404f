import io
import struct
import zlib

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from unetpp.core.errors import UserError
from unetpp.data.images.decode import read_header, read_image, read_mask
from unetpp.data.images.header import MAX_PIXELS, SampleError

RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 256, (5, 7), dtype=np.uint8)
RGB = RANDOM.integers(0, 256, (5, 7, 3), dtype=np.uint8)
RGBA = RANDOM.integers(0, 256, (5, 7, 4), dtype=np.uint8)
OPAQUE = np.dstack([RGB, np.full((5, 7), 255, np.uint8)])
DEEP = RANDOM.integers(0, 65536, (5, 7), dtype=np.uint16)


def encode(image: Image.Image | np.ndarray, kind: str, **options) -> bytes:
    stream = io.BytesIO()
    image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    image.save(stream, format=kind, **options)
    return stream.getvalue()


def tiff(array: np.ndarray, **options) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, array, **options)
    return stream.getvalue()


def npy(array: np.ndarray, **options) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def netpbm(kind: str, array: np.ndarray, largest: int | None = None) -> bytes:
    height, width = array.shape
    head = f"{kind}\n{width} {height}\n{largest or np.iinfo(array.dtype).max}\n".encode()
    if kind == "P2":
        return head + " ".join(map(str, array.ravel())).encode() + b"\n"
    return head + array.astype(array.dtype.newbyteorder(">")).tobytes()


LOSSLESS = {
    "png grey": (encode(GREY, "PNG"), GREY[:, :, None]),
    "png rgb": (encode(RGB, "PNG"), RGB),
    "png alpha": (encode(RGBA, "PNG"), RGBA[:, :, :3]),
    "png grey alpha": (encode(Image.fromarray(RGBA[:, :, :2].copy(), "LA"), "PNG"), RGBA[:, :, :1]),
    "png 16 bit": (encode(DEEP, "PNG"), DEEP[:, :, None]),
    "png 16 bit rgb": (imagecodecs.png_encode(np.stack([DEEP] * 3, axis=2)), np.stack([DEEP] * 3, axis=2)),
    "png bilevel": (encode(Image.fromarray(GREY > 99), "PNG"), (GREY > 99)[:, :, None] * np.uint8(255)),
    "bmp": (encode(RGB, "BMP"), RGB),
    "webp": (encode(RGB, "WEBP", lossless=True), RGB),
    "gif grey": (encode(GREY, "GIF"), GREY[:, :, None]),
    "pgm": (encode(GREY, "PPM"), GREY[:, :, None]),
    "pgm of text": (netpbm("P2", GREY), GREY[:, :, None]),
    "pgm 16 bit": (netpbm("P5", DEEP), DEEP[:, :, None]),
    "ppm": (encode(RGB, "PPM"), RGB),
    "ppm with a comment": (encode(RGB, "PPM").replace(b"P6\n", b"P6\n# by hand\n", 1), RGB),
    "tiff grey": (tiff(GREY), GREY[:, :, None]),
    "tiff 16 bit": (tiff(DEEP, compression="zlib"), DEEP[:, :, None]),
    "tiff big endian": (tiff(DEEP.astype(">u2"), byteorder=">"), DEEP[:, :, None]),
    "tiff rgb": (tiff(RGB, photometric="rgb"), RGB),
    "tiff rgba": (tiff(OPAQUE, photometric="rgb", extrasamples=["unassalpha"]), RGB),
    "tiff planar": (
        tiff(np.moveaxis(RGB, 2, 0), photometric="rgb", planarconfig="separate"),
        RGB,
    ),
    "tiff 6 channels": (
        tiff(np.concatenate([DEEP[:, :, None]] * 6, 2), photometric="minisblack", planarconfig="contig"),
        np.concatenate([DEEP[:, :, None]] * 6, 2),
    ),
    "tiff float": (tiff(GREY.astype(np.float32) / 3), (GREY.astype(np.float32) / 3)[:, :, None]),
    "tiff inverted": (tiff(GREY, photometric="miniswhite"), 255 - GREY[:, :, None]),
    "npy grey": (npy(GREY), GREY[:, :, None]),
    "npy 5 channels": (npy(np.dstack([RGBA, GREY])), np.dstack([RGBA, GREY])),
    "npy double": (npy(GREY / 7), (GREY / 7).astype(np.float32)[:, :, None]),
    "npy int16": (npy(GREY.astype(">i2") - 100), (GREY.astype(np.float32) - 100)[:, :, None]),
    "npy bool": (npy(GREY > 99), (GREY > 99).astype(np.uint8)[:, :, None]),
    "npy fortran": (npy(np.asfortranarray(RGB)), RGB),
}


@pytest.mark.parametrize("name", LOSSLESS)
def test_read_image_gives_the_pixels_and_the_header_agrees(name):
    data, expected = LOSSLESS[name]
    image, header = read_image(data).values, read_header(data)
    np.testing.assert_array_equal(image, expected)
    assert image.dtype == expected.dtype
    assert (header.height, header.width, header.channels) == expected.shape
    assert header.dtype == expected.dtype


def test_read_image_of_a_jpeg_is_close_to_the_pixels():
    smooth = np.tile(np.arange(64, dtype=np.uint8)[:, None, None] * 3, (1, 48, 3))
    image = read_image(encode(smooth, "JPEG", quality=95)).values
    assert image.shape == (64, 48, 3)
    assert np.abs(image.astype(int) - smooth).max() < 8


@pytest.mark.parametrize("mode", ["CMYK", "P"])
def test_read_image_of_other_colour_modes_is_rgb(mode):
    data = encode(Image.fromarray(RGB).convert(mode), "PNG" if mode == "P" else "JPEG")
    assert read_image(data).values.shape == (5, 7, 3)
    assert read_header(data).channels == 3


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_read_image_applies_exif_orientation(kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = np.zeros((16, 32), dtype=np.uint8)
    upright[:8, :8] = 255
    data = encode(upright, kind, exif=exif)
    image, header = read_image(data).values, read_header(data)
    # where the bright corner goes, by the EXIF specification: (bottom, right)
    corner = {1: (0, 0), 2: (0, 1), 3: (1, 1), 4: (1, 0), 5: (0, 0), 6: (0, 1), 7: (1, 1), 8: (1, 0)}[
        orientation
    ]
    assert image.shape[:2] == ((16, 32) if orientation < 5 else (32, 16)) == (header.height, header.width)
    assert image[-1 if corner[0] else 0, -1 if corner[1] else 0, 0] > 200
    np.testing.assert_array_equal(read_mask(data).values.shape, image.shape)


def test_read_mask_keeps_palette_indices():
    indices = np.array([[0, 1], [2, 5]], dtype=np.uint8)
    image = Image.fromarray(indices, "P")
    image.putpalette(list(range(255, 255 - 18, -1)))
    assert read_mask(encode(image, "PNG")).values[:, :, 0].tolist() == indices.tolist()


def test_read_mask_of_bilevel_image_is_0_and_1():
    assert read_mask(encode(Image.fromarray(GREY > 99), "PNG")).values.max() == 1


def test_read_mask_of_floats_keeps_fractions():
    assert read_mask(npy(np.array([[0.0, 3.0, 0.5]]))).values.tolist() == [[[0], [3], [0.5]]]


def bomb_png(side: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


def npy_header(shape: str, descr: str = "|u1") -> bytes:
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


REFUSED = {
    "empty": (b"", "empty"),
    "text": (b"hello world", "unknown format"),
    "tga": (encode(GREY, "TGA"), "unknown format"),
    "pgm of another range": (netpbm("P5", np.minimum(GREY, 4), 4), "largest value is 255.*says 4.*PNG"),
    "pgm of 12 bits": (netpbm("P5", np.minimum(DEEP, 4095), 4095), "says 4095"),
    "gif of frames": (
        encode(Image.fromarray(GREY), "GIF", save_all=True, append_images=[Image.fromarray(255 - GREY)]),
        "animation",
    ),
    "wav": (b"RIFF\x24\0\0\0WAVEfmt ", "damaged"),
    "png bomb": (bomb_png(12_000), "limit"),
    "png huge bomb": (bomb_png(60_000), "bomb"),
    "npy bomb": (npy_header("(1000000, 1000000)"), "limit"),
    "npy many channels": (npy_header("(3, 512, 512)"), "channels=512"),
    "npy cut": (npy(GREY)[:-3], "truncated"),
    "npy objects": (npy(np.array([[{}]], dtype=object), allow_pickle=True), "objects"),
    "npy complex": (npy(np.zeros((2, 2), complex)), "pixel type"),
    "npy 4 axes": (npy(np.zeros((2, 2, 2, 2))), "height, width"),
    "npy empty": (npy(np.zeros((0, 3))), "empty"),
    "tiff time series": (tiff(np.zeros((9, 5, 7), np.uint8), metadata={"axes": "TYX"}), "no single 2D image"),
    "tiff cut": (
        tiff(np.tile(RGB, (40, 40, 1)), photometric="rgb", compression="zlib", rowsperstrip=8)[:-40],
        "damaged",
    ),
    "tiff header only": (b"II*\0", "damaged"),
    "animation": (
        encode(Image.fromarray(RGB), "WEBP", save_all=True, append_images=[Image.fromarray(255 - RGB)]),
        "animation",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_read_image_of_an_unusable_file_gives_the_reason(name):
    data, reason = REFUSED[name]
    with pytest.raises(SampleError, match=reason):
        read_image(data)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
def test_read_image_cut_short_is_refused(kind, kept):
    noise = RANDOM.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = encode(noise, kind)
    with pytest.raises(SampleError, match="damaged"):
        read_image(data[: int(len(data) * kept)])


@settings(max_examples=200)
@given(st.sampled_from(sorted(LOSSLESS)), st.randoms(use_true_random=False))
def test_read_image_of_damaged_bytes_raises_nothing_but_user_errors(name, random):
    data = bytearray(LOSSLESS[name][0])
    for _ in range(random.randint(1, 4)):
        data[random.randrange(len(data))] = random.randrange(256)
    for read in (read_header, read_image, read_mask):
        try:
            read(bytes(data[: random.randint(1, len(data))]))
        except UserError:
            continue


def test_pixel_limit_lets_large_real_images_through():
    assert MAX_PIXELS > 10_000 * 10_000
