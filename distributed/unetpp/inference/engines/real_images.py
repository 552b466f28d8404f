"""Images of a run's own dataset, for calibration and checks."""

import itertools
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from unetpp.core.errors import CorruptionError, InputError, StorageError
from unetpp.core.storage import open_storage
from unetpp.data.dataset.parquet import iter_samples
from unetpp.models.load import LoadedRun

__all__ = ["CALIBRATING", "validation_images"]

CALIBRATING = 16
"""Images from which the ranges of int8 are taken."""


def validation_images(run: LoadedRun, count: int) -> Iterator[Tensor]:
    """Raw float32 (1, C, *size) of the validation split, else of the train split; at most the window's size.

    Raises:
        InputError: the dataset cannot be read.
    """
    manifest, uri = run.manifest, run.config.data.uri
    filled = [name for name in ("val", "train") if name in manifest.splits and manifest.splits[name].rows]
    try:
        if not filled:
            raise InputError("it has neither validation nor training images")
        for sample in itertools.islice(iter_samples(open_storage(uri), manifest, filled[0]), count):
            limits = zip(sample.image.shape, run.config.window_px, strict=False)
            part = sample.image[tuple(slice(min(sides)) for sides in limits)]
            # (*size, C) -> (1, C, *size)
            yield torch.from_numpy(np.array(part, dtype=np.float32)).movedim(-1, 0)[None].contiguous()
    except (InputError, StorageError, CorruptionError, FileNotFoundError) as error:
        raise InputError(f"images of the dataset {uri} are needed: {error}") from error
