"""Probabilities as NumPy arrays: `probabilities` uint8 (Z) H W K, `scale` to make them 0 to 1, `classes`."""

import io

import numpy as np

from unetpp.core.storage import Storage
from unetpp.inference.volumes import STEPS
from unetpp.inference.writers.registry import Segmented

__all__ = ["PROBABILITIES_SUFFIX", "write_probabilities"]

PROBABILITIES_SUFFIX = ".npz"


def write_probabilities(segmented: Segmented, target: Storage, name: str) -> None:
    """See `registry`."""
    assert segmented.probabilities is not None
    file = io.BytesIO()
    np.savez_compressed(
        file,
        probabilities=segmented.probabilities,
        scale=np.float32(1 / STEPS),
        classes=np.array([entry.name for entry in segmented.manifest.classes]),
    )
    target.write(name, file.getvalue())
