"""Large rasters, which are predicted strip by strip; masks lie in files that are mapped into memory.

What the memory holds is a window's height of rows, whatever the image's height.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unetpp.core.errors import InputError
from unetpp.core.manifest import IGNORE
from unetpp.data.images.pixels import Reading, complete
from unetpp.data.sources.raster import Box, Raster, Windowed
from unetpp.data.sources.window import clip
from unetpp.inference.objects.small import remove_small
from unetpp.inference.predictor import Predictor, check_image
from unetpp.inference.volumes import STEPS

__all__ = ["LargeMask", "is_large", "segment_large"]

_WHOLE_PIXELS = 2**24
"""More than these are not decoded at once where that can be helped."""

_MARKED_ROWS = 256
"""In which pixels without data are marked at a time."""


@dataclass(frozen=True)
class LargeMask:
    """What is predicted of an image, as `Segmented` has it: mask H W, IGNORE where there is no data."""

    mask: NDArray[np.uint8]
    probabilities: NDArray[np.uint8] | None
    valid: NDArray[np.bool_] | None


def is_large(raster: Raster) -> bool:
    """Whether a raster is predicted strip by strip."""
    header = raster.header
    return (
        isinstance(raster, Windowed)
        and header.planes is None
        and header.height * header.width > _WHOLE_PIXELS
    )


@contextmanager
def segment_large(predictor: Predictor, raster: Raster, *, probabilities: bool) -> Iterator[LargeMask]:
    """Predict a raster; the arrays are there until the context ends.

    Raises:
        InputError: the model was trained on resized images, or on other ones; or memory does not suffice.
        SampleError: the file is damaged.
    """
    header, manifest = raster.header, predictor.manifest
    reading = Reading.of(manifest.reading)
    if manifest.resized_px is not None:
        raise InputError(
            f"the model sees whole images as {manifest.resized_px} x {manifest.resized_px} pixels, "
            f"this one has {header.height} x {header.width}; train on tiles (data pack --tile)"
        )
    least_px = predictor.decision.min_object_px
    size = (header.height, header.width)
    with tempfile.TemporaryDirectory(prefix="unetpp-large-") as folder:
        place = Path(folder)
        mask = np.memmap(place / "mask", np.uint8, "w+", shape=size)
        valid: NDArray[np.bool_] | None = None
        kept: NDArray[np.uint8] | None = None
        next_best: NDArray[np.uint8] | None = None
        if least_px > 1 and manifest.task == "multiclass":
            next_best = np.memmap(place / "next", np.uint8, "w+", shape=size)
        if probabilities:
            kept = np.memmap(place / "probabilities", np.uint8, "w+", shape=(*size, manifest.num_classes))

        def read(top: int, stop: int) -> Tensor:
            pixels = complete(raster.read(Box(top, 0, stop - top, header.width)), reading)
            if pixels.valid is not None:
                nonlocal valid
                valid = _all_true(place / "valid", size) if valid is None else valid
                valid[top:stop] = pixels.valid
            values = clip(pixels.values, manifest.window)
            # (H, W, C) -> (1, C, H, W)
            return torch.from_numpy(np.array(check_image(values, manifest))).permute(2, 0, 1)[None]

        def run() -> bool:
            for strip in predictor.predict_strips(size, read):
                rows = slice(strip.top, strip.top + len(strip.mask))
                mask[rows] = strip.mask
                if next_best is not None and strip.next_best is not None:
                    next_best[rows] = strip.next_best
                if kept is not None:
                    # (K, rows, W) -> (rows, W, K)
                    kept[rows] = np.rint(strip.probabilities * STEPS).astype(np.uint8).transpose(1, 2, 0)
            return True

        predictor.fit(size, run)
        if least_px > 1:
            small = np.memmap(place / "small", np.uint8, "w+", shape=size)
            remove_small(mask, next_best, small, manifest, least_px)
        if valid is not None:
            for top in range(0, header.height, _MARKED_ROWS):
                rows = slice(top, top + _MARKED_ROWS)
                mask[rows][~valid[rows]] = IGNORE
        yield LargeMask(mask, kept, valid)


def _all_true(path: Path, size: tuple[int, int]) -> NDArray[np.bool_]:
    array = np.memmap(path, np.bool_, "w+", shape=size)
    array[:] = True
    return array
