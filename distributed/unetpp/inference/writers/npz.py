"""Probabilities as a compressed NumPy archive: `probabilities` K H W in 8 bits, their `scale`, `classes`."""

import io

import numpy as np

from unetpp.core.storage import Storage
from unetpp.inference.writers.quantised import LEVELS
from unetpp.inference.writers.registry import Segmented

__all__ = ["PROBABILITIES_SUFFIX", "write_probabilities"]

PROBABILITIES_SUFFIX = ".npz"


def write_probabilities(segmented: Segmented, target: Storage, name: str) -> None:
    """See `registry`."""
    if segmented.probabilities is None:
        raise ValueError("no probabilities were kept")
    data = io.BytesIO()
    np.savez_compressed(
        data,
        probabilities=segmented.probabilities,
        scale=np.float32(1 / LEVELS),
        classes=np.array([entry.name for entry in segmented.manifest.classes]),
    )
    target.write(name, data.getvalue())
