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
from unetpp.inference.predictor import Predictor, check_image
from unetpp.inference.volumes import STEPS

__all__ = ["LargeMask", "is_large", "segment_large"]

_WHOLE_PIXELS = 2**24
"""More than these are not decoded at once where that can be helped."""


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
    if predictor.decision.min_object_px > 1:
        raise InputError(
            f"objects are measured in whole images, this one of {header.height} x {header.width} pixels is "
            "predicted in strips; leave --min-object-px out, or cut the image into parts"
        )
    size = (header.height, header.width)
    with tempfile.TemporaryDirectory(prefix="unetpp-large-") as folder:
        place = Path(folder)
        mask = np.memmap(place / "mask", np.uint8, "w+", shape=size)
        valid: NDArray[np.bool_] | None = None
        kept: NDArray[np.uint8] | None = None
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
            for top, part, chances in predictor.predict_strips(size, read):
                mask[top : top + len(part)] = part
                if kept is not None:
                    # (K, rows, W) -> (rows, W, K)
                    kept[top : top + len(part)] = np.rint(chances * STEPS).astype(np.uint8).transpose(1, 2, 0)
                if valid is not None:
                    mask[top : top + len(part)][~valid[top : top + len(part)]] = IGNORE
            return True

        predictor.fit(size, run)
        yield LargeMask(mask, kept, valid)


def _all_true(path: Path, size: tuple[int, int]) -> NDArray[np.bool_]:
    array = np.memmap(path, np.bool_, "w+", shape=size)
    array[:] = True
    return array
