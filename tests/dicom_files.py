"""Small DICOM files written from scratch."""

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

__all__ = ["PATIENT", "write_series", "write_slice"]

PATIENT = {
    "PatientName": "PLANTED^JOHANNA",
    "PatientID": "PLANTED-4711",
    "PatientBirthDate": "19010203",
    "ReferringPhysicianName": "PLANTEDDOCTOR^X",
    "OtherPatientIDs": "PLANTED-OTHER",
    "InstitutionName": "PLANTED HOSPITAL",
    "AccessionNumber": "PLANTEDACC",
    "StudyID": "PLANTEDSTUDY",
}


def write_slice(path: Path, stored: NDArray[Any], **attributes: Any) -> Path:
    """A CT slice at the origin unless attributes say otherwise; the patient is `PATIENT`."""
    dicom = Dataset()
    dicom.file_meta = FileMetaDataset()
    dicom.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dicom.file_meta.MediaStorageSOPClassUID = dicom.SOPClassUID = CTImageStorage
    dicom.file_meta.MediaStorageSOPInstanceUID = dicom.SOPInstanceUID = generate_uid()
    dicom.Modality, dicom.SeriesNumber, dicom.InstanceNumber = "CT", 3, 1
    dicom.StudyDate, dicom.StudyTime, dicom.PatientSex = "20200101", "101010", "O"
    dicom.StudyInstanceUID = dicom.SeriesInstanceUID = dicom.FrameOfReferenceUID = "1.2.3.4"
    dicom.Rows, dicom.Columns = stored.shape[:2]
    dicom.SamplesPerPixel = 1 if stored.ndim == 2 else 3
    dicom.PhotometricInterpretation = "MONOCHROME2" if stored.ndim == 2 else "RGB"
    dicom.BitsAllocated = dicom.BitsStored = stored.dtype.itemsize * 8
    dicom.HighBit = dicom.BitsStored - 1
    dicom.PixelRepresentation = int(stored.dtype.kind == "i")
    if stored.ndim == 3:
        dicom.PlanarConfiguration = 0
    dicom.ImagePositionPatient, dicom.ImageOrientationPatient = [0, 0, 0], [1, 0, 0, 0, 1, 0]
    dicom.PixelSpacing, dicom.SliceThickness = [0.5, 0.75], 2.5
    dicom.PixelData = stored.tobytes()
    for name, value in (PATIENT | attributes).items():
        if value is None:
            del dicom[name]
        else:
            setattr(dicom, name, value)
    dicom.HighBit = dicom.BitsStored - 1
    path.parent.mkdir(parents=True, exist_ok=True)
    pydicom.dcmwrite(path, dicom, enforce_file_format=True)
    return path


def write_series(
    folder: Path, volume: NDArray[Any], *, spacing_mm: float = 2.5, **attributes: Any
) -> list[Path]:
    """Slices from foot to head, Z H W, in files whose names tell nothing of their order."""
    series = attributes.pop("SeriesInstanceUID", generate_uid())
    names = np.random.default_rng(len(volume)).permutation(len(volume))
    return [
        write_slice(
            folder / f"IM{names[index]:04d}",
            plane,
            ImagePositionPatient=[-10, -20, index * spacing_mm],
            SeriesInstanceUID=series,
            InstanceNumber=int(names[index]),
            **attributes,
        )
        for index, plane in enumerate(volume)
    ]
