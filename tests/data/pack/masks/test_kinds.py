"""Every kind of mask is read as what it is, or refused with the option that settles it; nothing else."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter, grey_dilation, grey_erosion

import mask_sets
from mask_sets import agreement, discs, fore, objects, png, read, regions, scattered
from unetpp.core.errors import InputError

MASKS = 6
SEEDS = range(2)
OPTION = r"--masks-are|--classes|--threshold"


def smooth(mask: np.ndarray, factor: int = 2) -> np.ndarray:
    """A mask that was resized with interpolation."""
    small = Image.fromarray(mask).resize(
        (mask.shape[1] // factor + 3, mask.shape[0] // factor + 3), Image.BILINEAR
    )
    return np.asarray(small.resize(mask.shape[::-1], Image.BILINEAR))


def probability(mask: np.ndarray) -> np.ndarray:
    """What a network says of a mask: near 0 and 1 inside, between at borders."""
    return np.clip(gaussian_filter(mask.astype(np.float32), 1.5) * 1.1, 0.001, 0.98)


def voc(mask: np.ndarray) -> np.ndarray:
    """Class indices with an ignored border of two pixels around objects, as PASCAL VOC has."""
    edge = grey_dilation(mask, size=3) != grey_erosion(mask, size=3)
    return np.where(edge, 255, mask).astype(np.uint8)


def two_level(level: int, dtype: type = np.uint8) -> Callable[[np.ndarray], np.ndarray]:
    return lambda mask: (mask.astype(np.int64) * level).astype(dtype)


VOC_COLOURS = [(128 * (i & 1), 64 * (i >> 1 & 3), 8 * (i >> 3)) for i in range(255)] + [(224, 224, 192)]

# name: (seed, index) -> (encoded mask, truth)
PLAIN: dict[str, Callable[[int, int], tuple[bytes, np.ndarray]]] = {}
for _name, _encode in {
    "png": png,
    "tiff": mask_sets.tiff,
    "npy": mask_sets.npy,
    "bmp": mask_sets.bmp,
    "gif": mask_sets.gif,
    "pgm": mask_sets.pgm,
    "webp": mask_sets.webp(lossless=True),
    "npy bool": lambda mask: mask_sets.npy(mask > 0),
    "npy int64": lambda mask: mask_sets.npy(mask.astype(np.int64)),
    "npy float": lambda mask: mask_sets.npy(mask.astype(np.float32)),
    "png rgb": lambda mask: png(np.dstack([mask] * 3)),
    "png rgba": lambda mask: png(np.dstack([mask] * 3 + [np.full_like(mask, 255)])),
}.items():
    for _level in (1, 255, 128, 254):
        if _name != "npy bool" or _level == 1:
            PLAIN[f"0/{_level} {_name}"] = lambda s, i, e=_encode, v=_level: (
                e(two_level(v)(fore(s, i))),
                fore(s, i),
            )
    if _name != "npy bool":
        PLAIN[f"classes {_name}"] = lambda s, i, e=_encode: (
            e(scattered(10 * s + i, 4)),
            scattered(10 * s + i, 4),
        )
PLAIN |= {
    "0/65535 png": lambda s, i: (png(two_level(65535, np.uint16)(fore(s, i))), fore(s, i)),
    "0/65535 tiff": lambda s, i: (mask_sets.tiff(two_level(65535, np.uint16)(fore(s, i))), fore(s, i)),
    "0/255 16 bit": lambda s, i: (png(two_level(255, np.uint16)(fore(s, i))), fore(s, i)),
    "1 bit": lambda s, i: (mask_sets.png_bits(1)(fore(s, i)), fore(s, i)),
    "1 bit bmp": lambda s, i: (mask_sets.bmp(fore(s, i) > 0), fore(s, i)),
    "2 bit 0/3": lambda s, i: (mask_sets.png_bits(2)(fore(s, i) * 3), fore(s, i)),
    "4 bit 0/15": lambda s, i: (mask_sets.png_bits(4)(fore(s, i) * 15), fore(s, i)),
    "1 bit beside 0/255": lambda s, i: (
        mask_sets.png_bits(1)(fore(s, i)) if i % 2 else png(fore(s, i) * 255),
        fore(s, i),
    ),
    "2 bit classes": lambda s, i: (mask_sets.png_bits(2)(scattered(10 * s + i, 3)), scattered(10 * s + i, 3)),
    "4 bit classes": lambda s, i: (mask_sets.png_bits(4)(scattered(10 * s + i, 7)), scattered(10 * s + i, 7)),
    "scene": lambda s, i: (png(regions(10 * s + i, 11)), regions(10 * s + i, 11)),
    "scene 19 with 255": lambda s, i: (png(voc(regions(10 * s + i, 19))), voc(regions(10 * s + i, 19))),
    "scene 150": lambda s, i: (
        png(regions(10 * s + i, 150, size_px=96)),
        regions(10 * s + i, 150, size_px=96),
    ),
    "gaps": lambda s, i: (
        png(np.array([0, 1, 2, 4, 5], np.uint8)[regions(10 * s + i, 5)]),
        np.array([0, 1, 2, 4, 5], np.uint8)[regions(10 * s + i, 5)],
    ),
    "one class in each": lambda s, i: (
        png(fore(s, i) * np.uint8(i % 3 + 1)),
        fore(s, i) * np.uint8(i % 3 + 1),
    ),
    "palette": lambda s, i: (
        mask_sets.palette(VOC_COLOURS)(scattered(10 * s + i, 4)),
        scattered(10 * s + i, 4),
    ),
    "palette with border": lambda s, i: (
        mask_sets.palette(VOC_COLOURS)(voc(scattered(10 * s + i, 4))),
        voc(scattered(10 * s + i, 4)),
    ),
    "palette black and white": lambda s, i: (
        mask_sets.palette([(0, 0, 0), (255, 255, 255)])(fore(s, i)),
        fore(s, i),
    ),
    "palette white first": lambda s, i: (
        mask_sets.palette([(255, 255, 255), (0, 0, 0)])(1 - fore(s, i)),
        fore(s, i),
    ),
    "palette white first bmp": lambda s, i: (
        mask_sets.palette([(255, 255, 255), (0, 0, 0)], "BMP")(1 - fore(s, i)),
        fore(s, i),
    ),
    "palettes of either order": lambda s, i: (
        mask_sets.palette([(255, 255, 255), (0, 0, 0)])(1 - fore(s, i))
        if i % 2
        else mask_sets.palette([(0, 0, 0), (255, 255, 255)])(fore(s, i)),
        fore(s, i),
    ),
    "alpha of black": lambda s, i: (png(np.dstack([fore(s, i) * 0] * 3 + [fore(s, i) * 255])), fore(s, i)),
    "alpha of white": lambda s, i: (
        png(np.dstack([np.full((64, 64), 255, np.uint8)] * 3 + [fore(s, i) * 255])),
        fore(s, i),
    ),
    "alpha of red webp": lambda s, i: (
        mask_sets.webp(lossless=True)(
            np.dstack([fore(s, i) * 0 + 200, fore(s, i) * 0, fore(s, i) * 0, fore(s, i) * 255])
        ),
        fore(s, i),
    ),
    "alpha of grey": lambda s, i: (png(np.dstack([fore(s, i) * 0, fore(s, i) * 255])), fore(s, i)),
    "white on transparent": lambda s, i: (
        png(np.dstack([fore(s, i) * 255] * 3 + [fore(s, i) * 255])),
        fore(s, i),
    ),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", PLAIN)
def test_plain_masks_are_read_as_they_are(name, seed):
    files, truth = zip(*(PLAIN[name](seed, index) for index in range(MASKS)), strict=True)
    meaning, found = read(list(files))
    assert agreement(found, list(truth)) == 1
    labelling = meaning.labelling
    highest = max(int(mask[mask < 255].max()) for mask in truth)
    assert len(labelling.classes) == (1 if labelling.task == "binary" else highest + 1)
    assert labelling.ignore_index == (255 if any((mask == 255).any() for mask in truth) else None)


def colour_of(mask: np.ndarray) -> np.ndarray:
    return np.array([(0, 0, 0), (0, 200, 0), (90, 0, 90), (255, 0, 0)], np.uint8)[mask]


def few(seed: int, index: int) -> np.ndarray:
    return scattered(10 * seed + index, 3)


def trimap(seed: int, index: int) -> np.ndarray:
    """1 object, 2 background, 3 border, as the Oxford pets have."""
    return np.array([2, 1, 3], np.uint8)[np.minimum(voc(fore(seed, index)), 2)]


def shifted(seed: int, index: int) -> np.ndarray:
    """Ids that no other mask of the set uses."""
    ids = objects(seed, index)
    return np.where(ids > 0, ids + 20 * index, 0).astype(np.uint16)


def via_jpeg(mask: np.ndarray) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(mask_sets.jpeg(mask))))


# name: (seed, index) -> (encoded mask, truth), options that settle it, share of pixels that must agree
UNCLEAR: dict[str, tuple[Callable[[int, int], tuple[bytes, np.ndarray]], dict, float]] = {
    "jpeg": (lambda s, i: (mask_sets.jpeg(fore(s, i) * 255), fore(s, i)), {"masks_are": "binary"}, 0.98),
    "jpeg rgb": (
        lambda s, i: (mask_sets.jpeg(np.dstack([fore(s, i) * 255] * 3)), fore(s, i)),
        {"masks_are": "binary"},
        0.98,
    ),
    "jpeg 0/1": (lambda s, i: (mask_sets.jpeg(fore(s, i) * 20), fore(s, i)), {"masks_are": "binary"}, 0.95),
    "lossy webp": (
        lambda s, i: (mask_sets.webp(lossless=False)(fore(s, i) * 255), fore(s, i)),
        {"masks_are": "binary"},
        0.97,
    ),
    "png of a jpeg": (
        lambda s, i: (png(via_jpeg(fore(s, i) * 255)), fore(s, i)),
        {"masks_are": "binary"},
        0.98,
    ),
    "resized": (lambda s, i: (png(smooth(fore(s, i) * 255)), fore(s, i)), {"masks_are": "binary"}, 0.9),
    "resized 0/100": (lambda s, i: (png(smooth(fore(s, i) * 100)), fore(s, i)), {"masks_are": "binary"}, 0.9),
    "resized classes": (
        lambda s, i: (png(smooth(few(s, i), 3)), smooth(few(s, i), 3)),
        {"masks_are": "classes"},
        1,
    ),
    "8 bit probabilities": (
        lambda s, i: (png((probability(fore(s, i)) * 255).astype(np.uint8)), probability(fore(s, i)) >= 0.5),
        {"masks_are": "probabilities"},
        0.99,
    ),
    "16 bit probabilities": (
        lambda s, i: (
            png((probability(fore(s, i)) * 65535).astype(np.uint16)),
            probability(fore(s, i)) >= 0.5,
        ),
        {"masks_are": "probabilities"},
        0.99,
    ),
    "float probabilities npy": (
        lambda s, i: (mask_sets.npy(probability(fore(s, i))), probability(fore(s, i)) >= 0.3),
        {"masks_are": "probabilities", "threshold": 0.3},
        1,
    ),
    "float probabilities tiff": (
        lambda s, i: (mask_sets.tiff(probability(fore(s, i))), probability(fore(s, i)) >= 0.5),
        {"masks_are": "probabilities"},
        1,
    ),
    "instances": (
        lambda s, i: (png(objects(s, i).astype(np.uint8)), fore(s, i)),
        {"masks_are": "instances"},
        1,
    ),
    "instances tiff": (
        lambda s, i: (mask_sets.tiff(objects(s, i)), fore(s, i)),
        {"masks_are": "instances"},
        1,
    ),
    "instances int32": (
        lambda s, i: (mask_sets.npy(objects(s, i).astype(np.int32)), fore(s, i)),
        {"masks_are": "instances"},
        1,
    ),
    "16 instances each": (
        lambda s, i: (png(discs(50 * s + i, 16).astype(np.uint8)), discs(50 * s + i, 16) > 0),
        {"masks_are": "instances"},
        1,
    ),
    "touching instances": (
        lambda s, i: (png(discs(50 * s + i, 14, apart=False)), discs(50 * s + i, 14, apart=False) > 0),
        {"masks_are": "instances"},
        1,
    ),
    "ids of the whole set": (
        lambda s, i: (png(shifted(s, i)), shifted(s, i) > 0),
        {"masks_are": "instances"},
        1,
    ),
    "ids over 255": (
        lambda s, i: (png(np.where(objects(s, i) > 0, objects(s, i) + 999, 0).astype(np.uint16)), fore(s, i)),
        {"masks_are": "instances"},
        1,
    ),
    "trimap": (lambda s, i: (png(trimap(s, i)), trimap(s, i)), {"masks_are": "classes"}, 1),
    "1/2": (lambda s, i: (png(fore(s, i) + np.uint8(1)), fore(s, i)), {"masks_are": "binary"}, 1),
    "0/2": (lambda s, i: (png(fore(s, i) * np.uint8(2)), fore(s, i)), {"masks_are": "binary"}, 1),
    "0/1 beside 0/255": (
        lambda s, i: (png(fore(s, i) * np.uint8(255 if i % 2 else 1)), fore(s, i)),
        {"masks_are": "binary", "threshold": 1},
        1,
    ),
    "0/128/255": (
        lambda s, i: (
            png(np.where(voc(fore(s, i)) == 255, 128, fore(s, i) * 255).astype(np.uint8)),
            fore(s, i),
        ),
        {"masks_are": "binary"},
        0.8,
    ),
    "grey levels for classes": (
        lambda s, i: (png(few(s, i) * np.uint8(80)), few(s, i) * np.uint8(80)),
        {"masks_are": "classes"},
        1,
    ),
    "negative": (
        lambda s, i: (mask_sets.npy(np.where(fore(s, i) > 0, 1, -1).astype(np.int16)), fore(s, i)),
        {"masks_are": "binary"},
        1,
    ),
    "colours": (lambda s, i: (png(colour_of(few(s, i))), few(s, i)), {"masks_are": "colours"}, 1),
    "two colours": (lambda s, i: (png(colour_of(fore(s, i))), fore(s, i)), {"masks_are": "colours"}, 1),
    "palettes that differ": (
        lambda s, i: (
            mask_sets.palette([(0, 0, 0), (0, 200, 0), (90, 0, 90), (255, 0, 0)])(few(s, i))
            if i % 2
            else mask_sets.palette([(255, 0, 0), (90, 0, 90), (0, 200, 0), (0, 0, 0)])(3 - few(s, i)),
            few(s, i),
        ),
        {"masks_are": "colours"},
        1,
    ),
    "red first palette": (
        lambda s, i: (mask_sets.palette([(255, 0, 0), (0, 0, 0)])(1 - fore(s, i)), fore(s, i)),
        {"masks_are": "colours"},
        1,
    ),
    "2 bit beside 8": (
        lambda s, i: (mask_sets.png_bits(2)(few(s, i)) if i % 2 else png(few(s, i)), few(s, i)),
        {"masks_are": "classes"},
        1,
    ),
    "soft alpha": (
        lambda s, i: (png(np.dstack([fore(s, i) * 0] * 3 + [smooth(fore(s, i) * 255)])), fore(s, i)),
        {"masks_are": "binary"},
        0.9,
    ),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", UNCLEAR)
def test_unclear_masks_are_refused_until_an_option_settles_them(name, seed):
    make, options, share = UNCLEAR[name]
    files, truth = zip(*(make(seed, index) for index in range(MASKS)), strict=True)
    with pytest.raises(InputError, match=OPTION):
        read(list(files))
    _, found = read(list(files), **options)
    assert agreement(found, list(truth)) >= share
