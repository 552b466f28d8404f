"""DICOM SEG that refers to the images it was predicted from: a segment for each class, named as the class.

As the standard demands, a SEG names the patient of the series it refers to: it belongs to the same records.
"""

import io
from collections.abc import Sequence
from copy import copy
from typing import Any

import highdicom
import numpy as np
from highdicom.color import CIELabColor
from numpy.typing import NDArray
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid

import unetpp
from unetpp.core.errors import InputError
from unetpp.core.manifest import ClassInfo, Manifest
from unetpp.core.storage import Storage
from unetpp.data.sources.medical.dicom import DicomImage, dicom_paths
from unetpp.data.sources.medical.dicom_file import text_of
from unetpp.inference.writers.registry import Segmented

__all__ = ["SUFFIX", "write"]

SUFFIX = ".dcm"
_MAKER = "unetpp"
_MAY_BE_EMPTY = (
    "AccessionNumber", "PatientBirthDate", "PatientID", "PatientName", "PatientSex", "ReferringPhysicianName",
    "StudyDate", "StudyID", "StudyTime",
)  # fmt: skip
"""What the standard demands to be there, if only empty, and anonymised files lack."""


def write(segmented: Segmented, target: Storage, name: str) -> None:
    """See `registry`; the mask is H W, or Z H W in canonical axes.

    Raises:
        InputError: the series lacks what a SEG has to say of it.
    """
    if len(segmented.files) > 1:
        raise InputError("channels in several DICOM files have no one series to refer to; save them as NIfTI")
    with dicom_paths(segmented.files[0]) as paths:
        image = DicomImage(paths, labels=False)
    labels, classes = _segments(_as_stored(image, segmented.mask), segmented.manifest)
    sources = [_completed(dicom) for dicom in image.ordered]
    try:
        segmentation = _segmentation(sources, labels, classes)
        file = io.BytesIO()
        segmentation.save_as(file)
    # A library's message may quote what the files say of the patient.
    except Exception as error:
        raise InputError(
            f"the series cannot be referred to by a DICOM SEG, its files lack what that has to name "
            f"({type(error).__name__}); export it whole, or convert it to NIfTI"
        ) from None
    target.write(name, file.getvalue())


def _as_stored(image: DicomImage, mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Frames in the order of `ordered`, (frame, row, column)."""
    return mask[None] if image.stack is None else np.asarray(image.orientation.to_stored(mask))


def _segments(mask: NDArray[np.uint8], manifest: Manifest) -> tuple[NDArray[np.uint8], Sequence[ClassInfo]]:
    """0 or 1 (frame, row, column, segment); class 0 of a multiclass task is what no segment covers."""
    if manifest.task == "multilabel":
        bits = [mask >> bit & 1 for bit in range(len(manifest.classes))]
        return np.stack(bits, axis=-1), manifest.classes
    classes = manifest.classes[1:] if manifest.task == "multiclass" else manifest.classes
    values = np.arange(1, len(classes) + 1, dtype=np.uint8)
    return (mask[..., None] == values).astype(np.uint8), classes


def _completed(dicom: Any) -> Any:
    found = copy(dicom)
    for attribute in _MAY_BE_EMPTY:
        if attribute not in found:
            setattr(found, attribute, "")
    return found


def _segmentation(
    sources: Sequence[Any], labels: NDArray[np.uint8], classes: Sequence[ClassInfo]
) -> highdicom.seg.Segmentation:
    # The same mask of the same series is the same object, another mask another one.
    of = [text_of(sources[0], "SOPInstanceUID"), np.packbits(labels).tobytes().hex(), str(classes)]
    number = int(sources[0].get("SeriesNumber") or 0)
    return highdicom.seg.Segmentation(
        source_images=sources,
        pixel_array=labels,
        segmentation_type="BINARY",
        segment_descriptions=[_description(index, entry) for index, entry in enumerate(classes, 1)],
        series_instance_uid=generate_uid(entropy_srcs=[*of, "series"]),
        series_number=number + 1000,
        sop_instance_uid=generate_uid(entropy_srcs=[*of, "instance"]),
        instance_number=1,
        manufacturer=_MAKER,
        manufacturer_model_name=_MAKER,
        software_versions=unetpp.__version__,
        device_serial_number="0",
        content_label="SEGMENTATION",
        omit_empty_frames=bool(labels.any()),
    )


def _description(number: int, entry: ClassInfo) -> highdicom.seg.SegmentDescription:
    algorithm = highdicom.AlgorithmIdentificationSequence(
        name=_MAKER, family=codes.DCM.ArtificialIntelligence, version=unetpp.__version__
    )
    # A class file names classes, not codes: tissue is what holds of all of them.
    return highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=entry.name,
        segmented_property_category=codes.SCT.Tissue,
        segmented_property_type=codes.SCT.Tissue,
        algorithm_type="AUTOMATIC",
        algorithm_identification=algorithm,
        display_color=CIELabColor.from_rgb(*entry.colour),
    )
