"""TIFF variations that programs write, each against what another reader or the specification makes of it."""

import io
from itertools import product

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from unetpp.core.errors import UserError
from unetpp.data.images.decode import read_header, read_image, read_mask
from unetpp.data.images.header import SampleError, UndecidedError
from unetpp.data.images.pixels import PLAIN, Pixels, Reading, complete

RANDOM = np.random.default_rng(5)
GREY = RANDOM.integers(0, 256, (6, 9), dtype=np.uint8)
RGB = RANDOM.integers(0, 256, (6, 9, 3), dtype=np.uint8)
KINDS = ("unspecified", "assocalpha", "unassalpha")


def tiff(array, **options) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, array, **options)
    return stream.getvalue()


def pages(*arrays, **options) -> bytes:
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream) as writer:
        for array in arrays:
            own = array[1] if isinstance(array, tuple) else {}
            writer.write(array[0] if isinstance(array, tuple) else array, metadata=None, **options, **own)
    return stream.getvalue()


def as_stored(channels_last, planar):
    return np.moveaxis(channels_last, -1, 0) if planar == "separate" else channels_last


def agrees(data, reading=PLAIN) -> Pixels:
    """The image, once its header says the same."""
    header, pixels = read_header(data, reading), read_image(data, reading)
    planes = () if header.planes is None else (header.planes,)
    assert (*planes, header.height, header.width, header.channels) == pixels.values.shape
    assert header.dtype == pixels.values.dtype
    assert header.may_lack_data or pixels.valid is None
    return pixels


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
@pytest.mark.parametrize("base", [1, 3])
@pytest.mark.parametrize(
    "extra", [kinds for n in (1, 2, 3) for kinds in product(KINDS, repeat=n)], ids="-".join
)
def test_constant_alpha_is_left_out_wherever_it_stands_and_all_else_kept(planar, dtype, base, extra):
    image = RANDOM.integers(1, 99, (4, 5, base + len(extra))).astype(dtype)
    alpha = [base + index for index, kind in enumerate(extra) if kind != "unspecified"]
    image[..., alpha] = 77
    data = tiff(
        as_stored(image, planar),
        photometric="rgb" if base == 3 else "minisblack",
        planarconfig=planar,
        extrasamples=extra,
    )
    np.testing.assert_array_equal(agrees(data).values, np.delete(image, alpha, axis=2))
    np.testing.assert_array_equal(agrees(data, Reading(alpha="keep")).values, image)


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_alpha_that_varies_asks_and_is_kept_or_left_out_as_told(planar):
    image = RANDOM.integers(0, 256, (4, 5, 5), dtype=np.uint8)
    options = {"photometric": "rgb", "planarconfig": planar, "extrasamples": ["unassalpha", "unspecified"]}
    data = tiff(as_stored(image, planar), **options)
    for read in (read_header, read_image):
        with pytest.raises(UndecidedError, match=r"band 4 of 5 .*--alpha keep .*--alpha drop"):
            read(data)
    np.testing.assert_array_equal(agrees(data, Reading(alpha="keep")).values, image)
    np.testing.assert_array_equal(agrees(data, Reading(alpha="drop")).values, image[..., [0, 1, 2, 4]])


def test_mask_loses_its_alpha_and_is_refused_where_it_has_nothing_else():
    mask = np.zeros((6, 9, 4), np.uint8)
    mask[2:4, :, 3] = 255
    with pytest.raises(SampleError, match="empty but for its alpha"):
        read_mask(tiff(mask, photometric="rgb", extrasamples=["unassalpha"]))
    mask[1, 1, :3] = 255
    read = read_mask(tiff(mask, photometric="rgb", extrasamples=["unassalpha"])).values
    np.testing.assert_array_equal(read, mask[..., :3])


@pytest.mark.parametrize("turned", range(1, 9))
@pytest.mark.parametrize("kind", ["grey", "rgb", "planar", "palette", "float", "tiled"])
def test_orientation_turns_image_and_mask_as_exif_does(turned, kind):
    shown = Image.fromarray(GREY)
    shown.getexif()[274] = turned
    expected = np.asarray(ImageOps.exif_transpose(shown))
    stored = {
        "rgb": np.dstack([GREY] * 3),
        "planar": np.stack([GREY] * 3),
        "float": GREY.astype(np.float32),
    }.get(kind, GREY)
    options = {
        "rgb": {"photometric": "rgb"},
        "planar": {"photometric": "rgb", "planarconfig": "separate"},
        "palette": {"photometric": "palette", "colormap": np.tile(np.arange(256) * 257, (3, 1)).astype("u2")},
        "tiled": {"tile": (16, 16), "compression": "zlib"},
    }.get(kind, {})
    data = tiff(stored, extratags=[(274, "H", 1, turned, True)], **options)
    np.testing.assert_array_equal(agrees(data).values[..., 0], expected)
    np.testing.assert_array_equal(read_mask(data).values[..., 0], expected)


def test_orientation_turns_every_plane_and_what_is_valid():
    stack = RANDOM.integers(0, 9, (3, 4, 5)).astype(np.float32)
    stack[1, 0, 2] = -1
    tags = [(274, "H", 1, 6, True), (42113, "s", 3, "-1", True)]
    pixels = agrees(tiff(stack, extratags=tags, photometric="minisblack", metadata={"axes": "ZYX"}))
    np.testing.assert_array_equal(pixels.values[..., 0], np.rot90(stack, -1, axes=(1, 2)))
    assert np.argwhere(~pixels.valid).tolist() == [[1, 2, 3]]


@pytest.mark.parametrize("compression", ["raw", "group4", "tiff_lzw", "packbits"])
def test_bilevel_image_and_mask_are_read_whatever_the_compression(compression):
    stream = io.BytesIO()
    Image.fromarray(GREY > 99).save(stream, "TIFF", compression=compression)
    for read in (read_image, read_mask):
        np.testing.assert_array_equal(read(stream.getvalue()).values[..., 0], GREY > 99)


@pytest.mark.parametrize("bits", [8, 16])
def test_palette_image_is_rgb_and_mask_indices(bits):
    colours = RANDOM.integers(0, 256, (256, 3), dtype=np.uint8)
    colours[0] = 255
    expected = Image.fromarray(GREY, "P")
    expected.putpalette(colours.tobytes())
    # The specification says 16 bits a colour; some programs write 8.
    stored = colours.T.astype(np.uint16) * (257 if bits == 16 else 1)
    data = tiff(GREY, photometric="palette", colormap=stored)
    np.testing.assert_array_equal(agrees(data).values, np.asarray(expected.convert("RGB")))
    np.testing.assert_array_equal(read_mask(data).values[..., 0], GREY)


@pytest.mark.parametrize("array", [GREY, GREY.astype(np.uint16) * 7, GREY > 99], ids=["8", "16", "1"])
def test_white_as_zero_is_inverted_but_for_imagej_whose_numbers_stay(array):
    largest = np.iinfo(array.dtype).max if array.dtype != bool else 1
    plain = tiff(array, photometric="miniswhite", description="by a scanner", metadata=None)
    imagej = tiff(array, photometric="miniswhite", description="ImageJ=1.53t\n", metadata=None)
    for read in (read_image, read_mask):
        np.testing.assert_array_equal(read(plain).values[..., 0], largest - array)
        np.testing.assert_array_equal(read(imagej).values[..., 0], array)
    assert "white is zero" in " ".join(read_header(plain).notes)
    assert "ImageJ" in " ".join(read_header(imagej).notes)


def test_white_as_zero_of_imagej_is_read_in_dtypes_that_cannot_be_inverted():
    array = GREY.astype(np.float32) / 7
    data = tiff(array, photometric="miniswhite", description="ImageJ=1.53t\n", metadata=None)
    np.testing.assert_array_equal(read_image(data).values[..., 0], array)
    with pytest.raises(SampleError, match="no defined meaning"):
        read_image(tiff(array, photometric="miniswhite"))


def nodata_tiff(array, text, **options):
    return tiff(array, extratags=[(42113, "s", len(text) + 1, text, True)], **options)


@pytest.mark.parametrize(
    ("dtype", "text", "value"),
    [
        ("f4", "-9999", -9999), ("f4", "-3.4028234663852886e+38", np.finfo("f4").min), ("f4", "nan", np.nan),
        ("f4", "-3.40282346638529e+38 ", np.finfo("f4").min), ("i2", "-32768", -32768), ("f8", "1e20", 1e20),
        ("u2", "0", 0), ("u1", "255", 255),
    ],
)  # fmt: skip
def test_nodata_pixels_are_not_valid_and_get_the_mean_of_the_others(dtype, text, value):
    image = RANDOM.integers(1, 99, (6, 9)).astype(dtype)
    image[:2] = value
    pixels = complete(agrees(nodata_tiff(image, text)), PLAIN)
    assert (pixels.valid == (np.arange(6)[:, None] >= 2)).all()
    np.testing.assert_array_equal(pixels.values[2:, :, 0], image[2:].astype(pixels.values.dtype))
    mean = image[2:].astype(np.float64).mean()
    assert np.abs(pixels.values[:2] - mean).max() <= (0.5 if dtype.startswith("u") else 1e-4)


@pytest.mark.parametrize("text", ["-9999", "256", "0.5", "none", ""])
def test_nodata_that_no_pixel_can_have_changes_nothing(text):
    pixels = agrees(nodata_tiff(GREY, text or "\0"))
    np.testing.assert_array_equal(pixels.values[..., 0], GREY)
    assert complete(pixels, PLAIN).valid is None


def test_nodata_of_colours_takes_all_channels_and_of_measurements_one():
    image = np.full((2, 2, 3), 7, np.uint8)
    image[0, 0], image[0, 1, 2] = 0, 0
    assert (~agrees(nodata_tiff(image, "0", photometric="rgb")).valid).tolist() == [
        [True, False],
        [False, False],
    ]
    data = nodata_tiff(image.astype(np.float32), "0", photometric="rgb")
    assert (~agrees(data).valid).tolist() == [[True, True], [False, False]]


def test_nodata_of_a_mask_is_not_valid_unless_it_is_the_background():
    mask = np.zeros((4, 4), np.int16)
    mask[0], mask[1] = -9999, 1
    read = read_mask(nodata_tiff(mask, "-9999"))
    assert read.valid.sum(axis=1).tolist() == [0, 4, 4, 4]
    assert read.values[..., 0].sum(axis=1).tolist() == [0, 4, 0, 0]
    assert read_mask(nodata_tiff(np.maximum(mask, 0).astype(np.uint8), "0")).valid is None


def test_mask_page_says_which_pixels_are_valid():
    inside = GREY > 60
    data = pages(GREY, (inside, {"subfiletype": 4, "photometric": 4}))
    np.testing.assert_array_equal(agrees(data).valid, inside)


@pytest.mark.parametrize("reading", [PLAIN, Reading(nan="ignore")])
def test_nan_is_refused_or_left_out_as_told(reading):
    image = GREY.astype(np.float32)
    image[1, 2], image[3, 4] = np.nan, np.inf
    pixels = agrees(tiff(image), reading)
    if reading.nan is None:
        with pytest.raises(SampleError, match="--nan ignore"):
            complete(pixels, reading)
        return
    done = complete(pixels, reading)
    assert np.argwhere(~done.valid).tolist() == [[1, 2], [3, 4]]
    assert np.isfinite(done.values).all()


LARGE, SMALL = RANDOM.integers(0, 256, (2, 64, 48), dtype=np.uint8)
SMALL = SMALL[::4, ::4]
REDUCED = {"subfiletype": 1}


@pytest.mark.parametrize(
    "data",
    [
        pages(LARGE, (SMALL, REDUCED)),
        pages((SMALL, REDUCED), LARGE),
        pages(LARGE, SMALL),
        pages(SMALL, LARGE),
        pages((LARGE, {"subifds": 1}), (SMALL, REDUCED)),
        pages(LARGE, (np.dstack([SMALL] * 3), {**REDUCED, "photometric": "rgb"})),
    ],
    ids=["pyramid", "thumbnail first", "untagged", "untagged first", "subifd", "colour thumbnail"],
)
def test_file_with_smaller_images_gives_the_largest_and_says_so(data):
    np.testing.assert_array_equal(agrees(data).values[..., 0], LARGE)
    assert "smaller images" in " ".join(read_header(data).notes)


def test_file_with_two_images_of_one_size_is_refused():
    with pytest.raises(SampleError, match="2 images of one size"):
        read_image(pages(GREY, GREY.astype(np.uint16)))


STACK = RANDOM.integers(0, 256, (4, 6, 9), dtype=np.uint8)


@pytest.mark.parametrize(
    "data",
    [
        tiff(STACK, photometric="minisblack", metadata={"axes": "ZYX"}),
        tiff(STACK, imagej=True, metadata={"axes": "ZYX"}),
        tiff(STACK, photometric="minisblack"),
        pages(*STACK),
    ],
    ids=["axes", "imagej", "plain array", "pages"],
)
def test_pages_are_planes_of_a_volume_never_channels_by_accident(data):
    np.testing.assert_array_equal(agrees(data).values[..., 0], STACK)
    np.testing.assert_array_equal(read_mask(data).values[..., 0], STACK)


def test_pages_are_channels_where_the_file_or_the_user_says_so():
    said = tiff(STACK, imagej=True, metadata={"axes": "CYX"})
    np.testing.assert_array_equal(agrees(said).values, np.moveaxis(STACK, 0, -1))
    for data in (pages(*STACK), tiff(STACK, photometric="minisblack")):
        np.testing.assert_array_equal(
            agrees(data, Reading(pages="channels")).values, np.moveaxis(STACK, 0, -1)
        )


@pytest.mark.parametrize("imagej", [True, False])
def test_hyperstack_is_a_volume_of_several_channels(imagej):
    stack = RANDOM.integers(0, 256, (4, 2, 6, 9), dtype=np.uint8)
    options = {"imagej": True} if imagej else {"photometric": "minisblack"}
    data = tiff(stack, metadata={"axes": "ZCYX"}, **options)
    np.testing.assert_array_equal(agrees(data).values, np.moveaxis(stack, 1, -1))


@pytest.mark.parametrize("axes", ["TYX", "TZYX", "RYX"])
def test_axes_that_are_no_picture_and_no_volume_are_refused(axes):
    shape = (2,) * (len(axes) - 2) + (6, 9)
    with pytest.raises(SampleError, match="no single 2D image and no volume"):
        read_image(tiff(np.zeros(shape, np.uint8), metadata={"axes": axes}))


SAMPLES = [
    tiff(np.dstack([RGB, GREY, GREY]), photometric="rgb", extrasamples=["unassalpha", "unspecified"]),
    nodata_tiff(STACK.astype(np.float32), "-1", photometric="minisblack", metadata={"axes": "ZYX"}),
    tiff(GREY, photometric="palette", colormap=np.tile(np.arange(256) * 257, (3, 1)).astype("u2")),
    pages(GREY, (GREY > 60, {"subfiletype": 4, "photometric": 4}), (SMALL[:3, :3], REDUCED)),
    tiff(GREY, extratags=[(274, "H", 1, 6, True)]),
]


@given(st.sampled_from(SAMPLES), st.randoms(use_true_random=False))
def test_damaged_bytes_raise_nothing_but_user_errors(data, random):
    damaged = bytearray(data)
    for _ in range(random.randint(1, 4)):
        damaged[random.randrange(len(damaged))] = random.randrange(256)
    for read in (read_header, read_image, read_mask):
        try:
            read(bytes(damaged[: random.randint(1, len(damaged))]))
        except UserError:
            continue


@pytest.mark.parametrize(("name", "value"), [("alpha", "maybe"), ("nan", "keep"), ("pages", "planes")])
def test_reading_of_a_value_that_an_option_does_not_have_raises(name, value):
    with pytest.raises(UserError, match=f"--{name} {value} must be"):
        Reading.of({name: value})
