"""Multi-frame DICOM files, whose frames say their places and slopes one by one."""

from collections.abc import Sequence
from typing import Any

from unetpp.data.images.header import SampleError
from unetpp.data.sources.medical.dicom_series import Plane, plane_of

__all__ = ["frame_count", "frame_item", "frame_planes", "frame_rescales"]


def frame_count(dicom: Any) -> int:
    """Frames in a file; 1 where it does not say."""
    try:
        return int(dicom.get("NumberOfFrames", 1) or 1)
    except (TypeError, ValueError):
        raise SampleError("damaged DICOM: NumberOfFrames is no number") from None


def frame_planes(dicom: Any) -> list[Plane]:
    """Where each frame lies.

    Raises:
        SampleError: the frames do not say, as those of a film.
    """
    planes = []
    for index in range(frame_count(dicom)):
        position = frame_item(dicom, index, "PlanePositionSequence")
        orientation = frame_item(dicom, index, "PlaneOrientationSequence")
        measures = frame_item(dicom, index, "PixelMeasuresSequence")
        if position is None or orientation is None or measures is None:
            raise SampleError(
                f"the {frame_count(dicom)} frames do not say where they lie, as those of a film; "
                "save the frames as pictures"
            )
        planes.append(
            plane_of(
                position.get("ImagePositionPatient"),
                orientation.get("ImageOrientationPatient"),
                measures.get("PixelSpacing"),
                measures.get("SliceThickness"),
            )
        )
    return planes


def frame_rescales(dicom: Any) -> list[tuple[float, float]]:
    """Slope and intercept of each frame."""
    found = []
    for index in range(frame_count(dicom)):
        item = frame_item(dicom, index, "PixelValueTransformationSequence")
        try:
            found.append(
                (1.0, 0.0) if item is None else (float(item.RescaleSlope), float(item.RescaleIntercept))
            )
        except (AttributeError, TypeError, ValueError):
            raise SampleError("damaged DICOM: a frame's slope is no number") from None
    return found


def frame_item(dicom: Any, index: int, name: str) -> Any | None:
    """A functional group of a frame, from its own or from those that all share."""
    own: Sequence[Any] = dicom.get("PerFrameFunctionalGroupsSequence") or ()
    shared: Sequence[Any] = dicom.get("SharedFunctionalGroupsSequence") or ()
    for groups in (own[index : index + 1], shared[:1]):
        for group in groups:
            if group.get(name):
                return group[name][0]
    return None
