"""NIfTI of class indices on the grid of the image's file, whose header it takes over."""

import gzip

import nibabel
import numpy as np

from unetpp.core.storage import Storage
from unetpp.data.sources.files import local_path, location
from unetpp.data.sources.medical.nifti_header import load_nifti, read_nifti_header
from unetpp.inference.writers.registry import Segmented

__all__ = ["SUFFIX", "write"]

SUFFIX = ".nii.gz"
_FREE_TEXT = ("descrip", "aux_file", "db_name")
"""Converters put names of patients there."""


def write(segmented: Segmented, target: Storage, name: str) -> None:
    """See `registry`; the mask is Z H W in canonical axes, the file has the axes and sizes of its source."""
    source = segmented.files[0]
    with local_path(source) as path:
        image = load_nifti(path)
        found = read_nifti_header(image, location(source), 0)
    stored = np.ascontiguousarray(found.orientation.to_stored(segmented.mask))
    header = image.header.copy()
    for field in _FREE_TEXT:
        header[field] = b""
    header.extensions.clear()
    header.set_data_dtype(np.uint8)
    header.set_data_shape(stored.shape)
    header["pixdim"][4:] = 0
    header["cal_min"] = header["cal_max"] = 0
    header.set_intent("none")
    header.set_slope_inter(1, 0)
    kind = nibabel.Nifti2Image if isinstance(image, nibabel.Nifti2Image) else nibabel.Nifti1Image
    mask = kind(stored.reshape(image.shape[:3]), image.affine, header)
    # No time of writing: the same mask gives the same bytes.
    target.write(name, gzip.compress(mask.to_bytes(), mtime=0))
