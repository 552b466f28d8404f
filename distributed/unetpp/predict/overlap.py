"""Which images of a dataset a network was trained on, told by their pixels: names may differ."""

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unetpp.core.errors import CorruptionError, StorageError
from unetpp.core.manifest import Manifest
from unetpp.core.storage import open_storage
from unetpp.data.shards import Sample, iter_samples
from unetpp.models.load import LoadedRun

__all__ = ["Overlap"]


class Overlap:
    """Counts the evaluated samples whose image, as it was packed, was trained on.

    Another version costs one reading of the rows that were trained on; their own version costs nothing, since
    packing has warned of copies between its splits.
    """

    def __init__(self, run: LoadedRun, manifest: Manifest, split: str) -> None:
        self._all = manifest.fingerprint == run.manifest.fingerprint and split == "train"
        self._trained: set[bytes] | None = set()
        if manifest.fingerprint != run.manifest.fingerprint:
            self._trained = _trained_on(run)
        self._found = 0

    def add(self, samples: Iterable[Sample]) -> None:
        """Count samples."""
        for sample in samples:
            self._found += self._all or (_digest(sample.image) in (self._trained or ()))

    @property
    def count(self) -> int | None:
        """Samples so far whose image was trained on; None where what was trained on cannot be read."""
        return None if self._trained is None else self._found


def _trained_on(run: LoadedRun) -> set[bytes] | None:
    storage = open_storage(run.config.data.uri)
    try:
        return {_digest(sample.image) for sample in iter_samples(storage, run.manifest, "train")}
    except (CorruptionError, StorageError):
        return None


def _digest(image: NDArray[Any]) -> bytes:
    """Of pixels H W C with their shape and dtype."""
    layout = f"{image.shape} {image.dtype.name} ".encode()
    return hashlib.sha256(layout + np.ascontiguousarray(image).tobytes()).digest()[:16]
