"""NIfTI of class indices on the grid of the image's file, whose header it takes over.

Probabilities are a volume for each class along the fourth axis, bytes with a slope of 1 / 255.
"""

import gzip
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from unetpp.core.storage import Storage
from unetpp.data.sources.files import local_path, location
from unetpp.data.sources.medical.nifti_header import load_nifti, read_nifti_header
from unetpp.inference.volumes import STEPS
from unetpp.inference.writers.registry import Segmented

__all__ = ["PROBABILITIES_SUFFIX", "SUFFIX", "write", "write_probabilities"]

SUFFIX = PROBABILITIES_SUFFIX = ".nii.gz"
_FREE_TEXT = ("descrip", "aux_file", "db_name")
"""Converters put names of patients there."""


def write(segmented: Segmented, target: Storage, name: str) -> None:
    """See `registry`; the mask is Z H W in canonical axes, the file has the axes and sizes of its source."""
    target.write(name, _encode(segmented, segmented.mask, slope=1.0))


def write_probabilities(segmented: Segmented, target: Storage, name: str) -> None:
    """See `registry`; probabilities are Z H W K in canonical axes."""
    assert segmented.probabilities is not None
    target.write(name, _encode(segmented, segmented.probabilities, slope=1 / STEPS))


def _encode(segmented: Segmented, canonical: NDArray[np.uint8], slope: float) -> bytes:
    source = segmented.files[0]
    with local_path(source) as path:
        image = load_nifti(path)
        found = read_nifti_header(image, location(source), 0)
    stored = np.asarray(found.orientation.to_stored(canonical))
    # A source of one slice may have two axes.
    stored = stored.reshape(*image.shape[:3], *stored.shape[3:])
    header = _header(image, stored)
    kind = nibabel.Nifti2Image if isinstance(image, nibabel.Nifti2Image) else nibabel.Nifti1Image
    mask = kind(stored, image.affine, header)
    mask.header.set_slope_inter(slope, 0)
    # No time of writing: the same mask gives the same bytes.
    return gzip.compress(mask.to_bytes(), mtime=0)


def _header(image: Any, stored: NDArray[np.uint8]) -> Any:
    header = image.header.copy()
    # NIfTI-2 has less of them.
    for field in set(_FREE_TEXT) & set(header.keys()):
        header[field] = b""
    header.extensions.clear()
    header.set_data_dtype(np.uint8)
    header.set_data_shape(stored.shape)
    header["pixdim"][4:] = 0
    header["cal_min"] = header["cal_max"] = 0
    header.set_intent("none")
    return header
